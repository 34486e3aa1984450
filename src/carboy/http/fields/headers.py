"""Header fields in the order in which they were added; the case of names is ignored.

`_list` holds the fields as (name, value) tuples of text. They are checked when they are added, so
they can be sent unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, Self, SupportsIndex, TypeAlias, TypeVar

from carboy.grammar import CONTROL, is_token
from carboy.http.containers.immutable import MISSING, ImmutableHeadersMixin, Missing
from carboy.http.containers.multidict import MultiDict, converted, iter_multi_items
from carboy.http.exceptions import BadRequestKeyError
from carboy.http.fields.syntax import dump_options_header

T = TypeVar("T")
Field = tuple[str, str]
# Headers can be made from these. A list, tuple or set in a mapping gives a field for each value.
Source: TypeAlias = "Headers | MultiDict[str, Any] | Mapping[str, Any] | Iterable[tuple[str, Any]]"

_control = re.compile(f"[{CONTROL}]").search

# Names that passed the check. An application uses a few dozen; the limit is for an application
# that generates names.
MAX_KNOWN_NAMES = 1024
_known_names: set[str] = set()


def _check_name(name: Any) -> str:
    """ValueError or TypeError unless the name is a token (RFC 9110, section 5.1)."""
    if not isinstance(name, str):
        raise TypeError(f"A header name has to be text, not {type(name).__name__}: {name!r}.")
    if not is_token(name):
        raise ValueError(
            f"{name!r} is not a header name. Use letters, digits and !#$%&'*+-.^_`|~ only."
        )
    if len(_known_names) < MAX_KNOWN_NAMES:
        _known_names.add(name)
    return name


def _check_text(value: Any) -> str:
    """The value as text. ValueError if it contains a control character (RFC 9110, section 5.5)."""
    if not isinstance(value, str):
        value = str(value)
    if not value.isprintable() and _control(value) is not None:
        raise ValueError(
            "Header values must not contain newline characters, nor any other control"
            f" character except tab: {value!r}. Encode it, or send several headers."
        )
    return value  # type: ignore[no-any-return]


def _field(name: Any, value: Any) -> Field:
    if name not in _known_names:
        _check_name(name)
    if type(value) is not str or not value.isprintable():
        value = _check_text(value)
    return name, value


def _with_options(value: Any, options: Mapping[str, Any]) -> Any:
    """The value followed by `; name=value` for each option. Underscores in names become dashes."""
    if not options:
        return value
    dashed = {name.replace("_", "-"): each for name, each in options.items()}
    return dump_options_header(None if value is None else str(value), dashed)


class Headers:
    """The header fields of a request or response: a list of pairs with access by name.

    A missing name raises BadRequestKeyError, which is a KeyError. ValueError is raised for names
    that are not tokens and for values with control characters.
    """

    def __init__(
        self,
        defaults: Source | None = None,
    ) -> None:
        self._list: list[Field] = []
        if defaults is not None:
            if type(defaults) is list:
                self._list = [_field(name, value) for name, value in defaults]
            elif type(defaults) is Headers:
                self._list = defaults._list[:]
            else:
                self.extend(defaults)

    @classmethod
    def _from_checked(cls, fields: list[Field]) -> Self:
        """Headers that use this list, whose fields have been checked by the HTTP parser."""
        headers = cls.__new__(cls)
        headers._list = fields
        return headers

    @classmethod
    def _with_any_names(cls, source: Source) -> Self:
        """Headers of a test's request: names do not have to be tokens."""
        return cls._from_checked(
            [
                (
                    _check_text(name) if isinstance(name, str) else _check_name(name),
                    _check_text(value),
                )
                for name, value in iter_multi_items(source)
            ]
        )

    # reading

    def _find(self, key: str) -> str | None:
        """The first value of the name, or None. All access by name comes through here."""
        lowered = key.lower()
        for name, value in self._list:
            if name.lower() == lowered:
                return value
        return None

    def _get_key(self, key: str) -> str:
        value = self._find(key)
        if value is None:
            raise BadRequestKeyError(key)
        return value

    def __getitem__(self, key: str | SupportsIndex | slice) -> Any:
        if isinstance(key, str):
            return self._get_key(key)
        if isinstance(key, slice):
            return self._from_checked(self._list[key])
        return self._list[key]

    def get(self, key: str, default: Any = None, type: Callable[[str], Any] | None = None) -> Any:
        """The first value, converted by `type` if given; `default` if the name is missing.

        `default` is also returned if `type` raises ValueError or TypeError.
        """
        value = self._find(key)
        if value is None:
            return default
        if type is None:
            return value
        try:
            return type(value)
        except (ValueError, TypeError):
            return default

    def getlist(self, key: str, type: Callable[[str], Any] | None = None) -> list[Any]:
        """All values of the name, converted by `type` if given; values it refuses are left out."""
        lowered = key.lower()
        values = [value for name, value in self if name.lower() == lowered]
        return values if type is None else converted(values, type)

    def get_all(self, name: str) -> list[str]:
        """`getlist` under the name it has in wsgiref's headers."""
        return self.getlist(name)

    def items(self, lower: bool = False) -> Iterator[Field]:
        """The fields; with `lower` the names in lower case."""
        for name, value in self:
            yield (name.lower() if lower else name), value

    def keys(self, lower: bool = False) -> Iterator[str]:
        """The name of each field; with `lower` in lower case."""
        for name, _ in self:
            yield name.lower() if lower else name

    def values(self) -> Iterator[str]:
        """The values in order."""
        for _, value in self:
            yield value

    def __contains__(self, key: str) -> bool:
        return self._find(key) is not None

    def __iter__(self) -> Iterator[Field]:
        return iter(self._list)

    def __len__(self) -> int:
        return len(self._list)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return set(self.items(lower=True)) == set(other.items(lower=True))

    __hash__ = None  # type: ignore[assignment]

    def to_wsgi_list(self) -> list[Field]:
        """The fields as a new list of tuples, as PEP 3333 requires."""
        return self._list[:]

    def copy(self) -> Self:
        """Headers of the same type with the same fields."""
        return self._from_checked(self._list[:])

    def __copy__(self) -> Self:
        return self.copy()

    def __str__(self) -> str:
        """The fields as they are sent, with the empty line at the end."""
        lines = [f"{name}: {value}" for name, value in self]
        return "\r\n".join([*lines, "\r\n"]) if lines else "\r\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"

    # adding

    def add(self, key: str, value: Any, /, **kwargs: Any) -> None:
        """Add a field at the end. Keyword arguments become its parameters.

        `add("Content-Disposition", "attachment", filename="a b.txt")` adds
        `Content-Disposition: attachment; filename="a b.txt"`.
        """
        if kwargs:
            value = _with_options(value, kwargs)
        if key in _known_names and type(value) is str and value.isprintable():
            self._list.append((key, value))
        else:
            self._list.append(_field(key, value))

    def add_header(self, key: str, value: Any, /, **kwargs: Any) -> None:
        """`add` under the name it has in wsgiref's headers."""
        self.add(key, value, **kwargs)

    def extend(self, arg: Any = None, /, **kwargs: Any) -> None:
        """Add the fields of a mapping, of Headers or of pairs, then the keyword arguments."""
        if arg is not None:
            self._list += [_field(name, value) for name, value in iter_multi_items(arg)]
        if kwargs:
            self._list += [_field(name, value) for name, value in iter_multi_items(kwargs)]

    # replacing

    def set(self, key: str, value: Any, /, **kwargs: Any) -> None:
        """Replace all fields of the name by this field, at the position of the first.

        Keyword arguments become parameters as with `add`.
        """
        if kwargs:
            value = _with_options(value, kwargs)
        field = _field(key, value)
        fields = self._list
        lowered = key.lower() if fields else ""
        for position, (name, _) in enumerate(fields):
            if name.lower() == lowered:
                fields[position] = field
                fields[position + 1 :] = [
                    each for each in fields[position + 1 :] if each[0].lower() != lowered
                ]
                return
        fields.append(field)

    def setlist(self, key: str, values: Iterable[Any]) -> None:
        """Replace all fields of the name by a field for each value. No values remove the name."""
        values = list(values or ())
        if not values:
            self.remove(key)
            return
        fields = [_field(key, value) for value in values]
        self.set(key, fields[0][1])
        self._list.extend(fields[1:])

    def setdefault(self, key: str, default: Any) -> str:
        """The first value of the name. A missing name is added with `default`."""
        value = self._find(key)
        if value is None:
            self.set(key, default)
            value = self._get_key(key)
        return value

    def setlistdefault(self, key: str, default: Iterable[Any]) -> list[str]:
        """All values of the name. A missing name is added with the values in `default`."""
        if key not in self:
            self.setlist(key, default)
        return self.getlist(key)

    def __setitem__(self, key: str | SupportsIndex | slice, value: Any) -> None:
        if isinstance(key, str):
            self.set(key, value)
        elif isinstance(key, slice):
            self._list[key] = [_field(*pair) for pair in value]
        else:
            self._list[key] = _field(*value)

    def update(self, arg: Any = None, /, **kwargs: Any) -> None:
        """Replace the fields of each name in a mapping, Headers, pairs or keyword arguments.

        The last of several pairs with one name is kept; a list in a mapping sets several fields.
        """
        if arg is not None:
            self._replace(arg)
        self._replace(kwargs)

    def _replace(self, source: Any) -> None:
        if isinstance(source, Headers | MultiDict):
            for name in dict.fromkeys(source.keys()):
                self.setlist(name, source.getlist(name))
        elif isinstance(source, Mapping):
            for name, value in source.items():
                if isinstance(value, (list, tuple, set)):
                    self.setlist(name, value)
                else:
                    self.set(name, value)
        else:
            for name, value in source:
                self.set(name, value)

    def __or__(self, other: Mapping[str, Any]) -> Self:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = self.copy()
        merged.update(other)
        return merged

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]
        if not isinstance(other, Mapping | Iterable):
            return NotImplemented
        self.update(other)
        return self

    # removing

    def remove(self, key: str) -> None:
        """Remove all fields of the name, if there are any."""
        lowered = key.lower()
        self._list[:] = [field for field in self._list if field[0].lower() != lowered]

    def __delitem__(self, key: str | SupportsIndex | slice) -> None:
        if isinstance(key, str):
            self.remove(key)
        else:
            del self._list[key]

    def pop(self, key: str | int | None = None, default: T | Missing = MISSING) -> Any:
        """Remove all fields of a name and return the first value, or remove a field by position.

        Without argument, remove the last field and return it.
        """
        if key is None:
            return self._list.pop()
        if isinstance(key, int):
            return self._list.pop(key)
        value = self._find(key)
        if value is None:
            if default is MISSING:
                raise BadRequestKeyError(key)
            return default
        self.remove(key)
        return value

    def popitem(self) -> Field:
        """Remove the last field and return it."""
        return self._list.pop()

    def clear(self) -> None:
        """Remove all fields."""
        self._list.clear()


# CGI names these two without HTTP_ (RFC 3875, section 4.1). The server did not use a value that
# is named with HTTP_.
_UNPREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")
_SHADOWED = ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH")


class RequestHeaders(ImmutableHeadersMixin, Headers):
    """The read-only header fields of a request.

    They cannot be copied, because they belong to the server; use `Headers(these)`. A missing name
    raises a plain KeyError with the name's key in an environ.
    """

    def __getitem__(self, key: Any) -> str:
        value = self._find(key) if isinstance(key, str) else None
        if value is not None:
            return value
        if not isinstance(key, str):
            raise BadRequestKeyError(key)
        raise KeyError(_environ_key(key))

    def copy(self) -> NoReturn:
        raise TypeError(
            f"cannot create {type(self).__name__!r} copies: use Headers(these) instead."
        )

    def __or__(self, other: Any) -> NoReturn:
        raise TypeError(
            f"cannot create {type(self).__name__!r} copies: merge into Headers(these) instead."
        )


def _environ_key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in _UNPREFIXED else f"HTTP_{key}"


class EnvironHeaders(RequestHeaders):
    """A read-only view of the `HTTP_` keys of a WSGI environ."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    @property
    def _list(self) -> list[Field]:  # type: ignore[override]
        return list(self)

    def _find(self, key: Any) -> str | None:
        return self.environ.get(_environ_key(key)) if isinstance(key, str) else None

    def __iter__(self) -> Iterator[Field]:
        for name, value in self.environ.items():
            if name.startswith("HTTP_"):
                if name not in _SHADOWED:
                    yield name[5:].replace("_", "-").title(), value
            elif value and name in _UNPREFIXED:
                yield name.replace("_", "-").title(), value

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EnvironHeaders):
            return NotImplemented
        return self.environ is other.environ

    __hash__ = None  # type: ignore[assignment]


# RFC 2616, section 7.1. A 304 response does not have them.
ENTITY_HEADERS = frozenset(
    {
        "allow",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "expires",
        "last-modified",
    }
)
# RFC 2616, section 13.5.1. PEP 3333 reserves them for the server.
HOP_BY_HOP_HEADERS = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def is_entity_header(header: str) -> bool:
    """Whether the field describes the content."""
    return header.lower() in ENTITY_HEADERS


def is_hop_by_hop_header(header: str) -> bool:
    """Whether the field applies to one connection only."""
    return header.lower() in HOP_BY_HOP_HEADERS


def _keep(headers: Headers | list[tuple[str, str]], fields: list[tuple[str, str]]) -> None:
    target = headers._list if isinstance(headers, Headers) else headers
    target[:] = fields


def remove_entity_headers(
    headers: Headers | list[tuple[str, str]],
    allowed: Iterable[str] = ("expires", "content-location"),
) -> None:
    """Remove the fields that describe the content, except those in `allowed`, in place."""
    kept = {name.lower() for name in allowed}
    _keep(headers, [f for f in headers if not is_entity_header(f[0]) or f[0].lower() in kept])


def remove_hop_by_hop_headers(headers: Headers | list[tuple[str, str]]) -> None:
    """Remove the fields that apply to one connection only, in place."""
    _keep(headers, [field for field in headers if not is_hop_by_hop_header(field[0])])
