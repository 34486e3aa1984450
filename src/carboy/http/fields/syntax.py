"""The syntax that header fields share: quoting, parameters, lists, dicts and sets of words.

Quoting follows RFC 9110, section 5.6. The parameters `name*=charset'language'text`, `name*0` and
`name*1*` follow RFC 8187 and RFC 2231. Each parser reads its input once, with possessive patterns,
so its time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSet
from typing import Any, SupportsIndex

from carboy.grammar import TCHAR
from carboy.late import compiled_later, parse

_token = re.compile(f"[{TCHAR}]++").fullmatch
_escape = compiled_later(r"\\(.)")
# An element of a list: commas between quotes do not end it.
_element = compiled_later(r'(?:[^",]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
# Group 2 is the value, a token or quoted text with its quotes. Group 3 is a quote without an end.
_parameter = compiled_later(
    rf';[ \t]*+(?:([{TCHAR}]++)=(?:([{TCHAR}]++|"(?:[^"\\]++|\\.)*+")|(")|))?', re.DOTALL
)
# The usual parameter of Content-Type: a token without "%" and "*".
_plain_token = TCHAR.replace("%", "").replace("*", "")
_one_parameter = compiled_later(rf"; ?([{_plain_token}]++)=([{_plain_token}]++)")
_continuation = compiled_later(r"(.*)\*[0-9]++", re.DOTALL)
# RFC 8187, section 3.2.1: charset "'" [ language ] "'" value-chars
_word = TCHAR.replace("'", "")
_extended = compiled_later(rf"([{_word}]*+)'[{_word}]*+'([{TCHAR}]++)")

# RFC 8187 requires UTF-8; the others are of RFC 5987 and old browsers. If all charsets were
# accepted, the sender could choose any of Python's codecs.
CHARSETS = frozenset({"ascii", "us-ascii", "utf-8", "iso-8859-1"})

# WHATWG HTML, "multipart/form-data encoding algorithm": these would end a quoted name.
FORM_NAME_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def quote_header_value(value: Any, allow_token: bool = True) -> str:
    """The value as written in a header: a token unchanged, other text in quotes."""
    text = str(value)
    if allow_token and _token(text):
        return text
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def unquote_header_value(value: str) -> str:
    """The value without its quotes and escapes. A value without quotes is unchanged."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    value = value[1:-1]
    return _escape.sub(r"\1", value) if "\\" in value else value


def dump_options_header(header: str | None, options: Mapping[str, Any]) -> str:
    """`header; name=value; ...`, without the parameters whose value is None.

    The value of a name that ends in `*` is encoded already.
    """
    parts = [] if header is None else [header]
    for name, value in options.items():
        if value is None:
            continue
        parts.append(f"{name}={value if name[-1:] == '*' else quote_header_value(value)}")
    return "; ".join(parts)


def dump_header(iterable: dict[str, Any] | Iterable[Any]) -> str:
    """A comma-separated list of values; of a dict, `name=value` or (for None) `name`."""
    if not isinstance(iterable, dict):
        return ", ".join([quote_header_value(value) for value in iterable])
    parts = []
    for name, value in iterable.items():
        if value is None:
            parts.append(name)
        else:
            parts.append(f"{name}={value if name[-1:] == '*' else quote_header_value(value)}")
    return ", ".join(parts)


def parse_list_header(value: str) -> list[str]:
    """The unquoted elements of a comma-separated list, without empty elements.

    A list with an unclosed quote has no elements.
    """
    if '"' not in value:
        return [element for part in value.split(",") if (element := part.strip(" \t"))]
    elements = []
    position, end = 0, len(value)
    while position <= end:
        match = _element.match(value, position)
        position = match.end() + 1 if match else end + 1
        if position <= end and value[position - 1] != ",":
            return []
        element = match[0].strip(" \t") if match else ""
        if element:
            elements.append(unquote_header_value(element))
    return elements


def parse_dict_header(value: str) -> dict[str, str | None]:
    """`name=value, ...` as a dict; a name without `=` has the value None.

    `name*=UTF-8''...` is decoded and stored under the name without the star.
    """
    result: dict[str, str | None] = {}
    for element in parse_list_header(value):
        name, equals, text = element.partition("=")
        name = name.strip(" \t")
        if not name:
            continue
        if not equals:
            result[name] = None
            continue
        text = text.strip(" \t")
        if name[-1] == "*":
            name = name[:-1]
            text = _decoded(text)[0]
        result[name] = unquote_header_value(text)
    return result


def _decoded(text: str, charset: str | None = None) -> tuple[str, str | None]:
    """A decoded extended value, and the charset of its continuations."""
    match = _extended.fullmatch(text)
    if match:
        named, text = match.groups()
        charset = named.lower() or charset
        if charset not in CHARSETS:
            charset = None
    return (parse.unquote(text, charset, "replace") if charset else text), charset


def parse_options_header(value: str | None) -> tuple[str, dict[str, str]]:
    """A value and its parameters, with names in lower case.

    Malformed parameters are skipped; the last of several parameters with one name is used. `%22`
    is a quote, because browsers write a quote in the names of a form that way (WHATWG).
    """
    if value is None:
        return "", {}
    start = value.find(";")
    if start < 0:
        return value.strip(" \t"), {}
    head = value[:start].strip(" \t")
    if not head:
        return head, {}
    simple = _one_parameter.fullmatch(value, start)
    if simple is not None:
        return head, {simple[1].lower(): simple[2]}
    return head, _parse_parameters(value, start)


def _parse_parameters(value: str, start: int) -> dict[str, str]:
    """The parameters after the semicolon at `start`."""
    options: dict[str, str] = {}
    continued: dict[str, list[str]] = {}
    charsets: dict[str, str | None] = {}
    while start >= 0 and (match := _parameter.match(value, start)):
        name, text, unclosed = match.groups()
        if unclosed is not None:
            break
        start = value.find(";", match.end())
        if text is None:
            continue
        name = name.lower()
        if "*" not in name:
            base, text = None, _plain(text)
        else:
            base, text = _extended_parameter(name, text, charsets)
        if base is None:
            name = name.removesuffix("*")
            continued.pop(name, None)
            charsets.pop(name, None)
            options[name] = text
        else:
            options.pop(base, None)
            continued.setdefault(base, []).append(text)
    for name, pieces in continued.items():
        options[name] = "".join(pieces)
    return options


def _plain(text: str) -> str:
    if text[0] == '"':
        text = text[1:-1]
        if "\\" in text:
            text = _escape.sub(r"\1", text)
    return text.replace("%22", '"') if "%22" in text else text


def _extended_parameter(
    name: str, text: str, charsets: dict[str, str | None]
) -> tuple[str | None, str]:
    """The meaning of `name*` or `name*0`: (the name that it continues or None, its text)."""
    encoded = name[-1] == "*"
    match = _continuation.fullmatch(name[:-1] if encoded else name)
    base = match[1] if match else None
    if not encoded:
        return base, _plain(text)
    text, charset = _decoded(text, charsets.get(base) if base is not None else None)
    if base is not None:
        charsets[base] = charset
    return base, text


class HeaderSet(MutableSet[str]):
    """A set of words that keeps their order and case; comparisons ignore the case.

    `on_update(self)` is called after each change.
    """

    def __init__(
        self,
        headers: Iterable[str] | None = None,
        on_update: Callable[[Any], object] | None = None,
    ) -> None:
        self._headers = list(headers or ())
        self._set = {header.lower() for header in self._headers}
        self.on_update = on_update

    def _changed(self) -> None:
        if self.on_update is not None:
            self.on_update(self)

    def add(self, header: str) -> None:
        """Add a word at the end, unless the set has it."""
        self.update((header,))

    def remove(self, header: str) -> None:
        """Remove a word. KeyError if the set does not have it."""
        lowered = header.lower()
        if lowered not in self._set:
            raise KeyError(header)
        self._set.remove(lowered)
        self._headers = [each for each in self._headers if each.lower() != lowered]
        self._changed()

    def update(self, iterable: Iterable[str]) -> None:
        """Add the words that the set does not have."""
        new = False
        for header in iterable:
            lowered = header.lower()
            if lowered not in self._set:
                self._headers.append(header)
                self._set.add(lowered)
                new = True
        if new:
            self._changed()

    def discard(self, header: str) -> None:
        """Remove a word if the set has it."""
        if header.lower() in self._set:
            self.remove(header)

    def find(self, header: str) -> int:
        """The position of a word, or -1."""
        lowered = header.lower()
        for position, each in enumerate(self._headers):
            if each.lower() == lowered:
                return position
        return -1

    def index(self, header: str) -> int:
        """The position of a word. IndexError if the set does not have it."""
        position = self.find(header)
        if position < 0:
            raise IndexError(header)
        return position

    def clear(self) -> None:
        """Remove all words."""
        self._headers.clear()
        self._set.clear()
        self._changed()

    def as_set(self, preserve_casing: bool = False) -> set[str]:
        """The words as a plain set, in lower case unless `preserve_casing`."""
        return set(self._headers) if preserve_casing else set(self._set)

    def to_header(self) -> str:
        """The words as the value of a field."""
        return ", ".join([quote_header_value(header) for header in self._headers])

    def __getitem__(self, idx: SupportsIndex) -> str:
        return self._headers[idx]

    def __delitem__(self, idx: SupportsIndex) -> None:
        self._set.discard(self._headers.pop(idx).lower())
        self._changed()

    def __setitem__(self, idx: SupportsIndex, value: str) -> None:
        self._set.discard(self._headers[idx].lower())
        self._headers[idx] = value
        self._set.add(value.lower())
        self._changed()

    def __contains__(self, header: object) -> bool:
        return isinstance(header, str) and header.lower() in self._set

    def __len__(self) -> int:
        return len(self._set)

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __bool__(self) -> bool:
        return bool(self._set)

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._headers!r})"


def parse_set_header(
    value: str | None, on_update: Callable[[Any], None] | None = None
) -> HeaderSet:
    """The words of a field's value. None and "" give an empty set."""
    return HeaderSet(parse_list_header(value) if value else None, on_update)
