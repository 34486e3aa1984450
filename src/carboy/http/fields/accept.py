"""`Accept` and its relatives: what a client accepts, and the best of several offers.

RFC 9110, section 12.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Any, SupportsIndex, TypeVar, overload

from carboy.http.containers.immutable import ImmutableList
from carboy.http.fields.syntax import dump_options_header, parse_list_header, parse_options_header

# Browsers send about ten items. The time of a match is items times offers.
MAX_ITEMS = 100

A = TypeVar("A", bound="Accept")

_quality = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII).fullmatch
_simple = re.compile(r"([^;\s]++);[ ]?q=([0-9]+(?:\.[0-9]+)?)", re.ASCII).fullmatch
_locale_parts = re.compile(r"[_-]").split
# A match of white space begins where the white space begins, so a long run is read only once.
_mime_parts = re.compile(r"/|(?<!\s)\s++;\s*+|;\s*+").split


class Accept(ImmutableList[tuple[str, float]]):
    """(value, quality) pairs, with the most specific first, then the preferred.

    `accept[text]` is the quality of a value and `text in accept` says whether it is accepted. `*`
    matches any value.
    """

    def __init__(self, values: Accept | Iterable[tuple[str, float]] | None = ()) -> None:
        # Whether the request has the header, which may be empty.
        self.provided: bool = values.provided if isinstance(values, Accept) else values is not None
        if values is None:
            values = ()
        if isinstance(values, Accept):
            super().__init__(values)
        else:
            key = lambda item: (self._specificity(item[0]), item[1])  # noqa: E731
            super().__init__(sorted(values, key=key, reverse=True))

    def _specificity(self, value: str) -> tuple[bool, ...]:
        return (value != "*",)

    def _value_matches(self, value: str, item: str) -> bool:
        return item == "*" or item.lower() == value.lower()

    @overload
    def __getitem__(self, key: str) -> float: ...
    @overload
    def __getitem__(self, key: SupportsIndex) -> tuple[str, float]: ...
    @overload
    def __getitem__(self, key: slice) -> list[tuple[str, float]]: ...
    def __getitem__(self, key: Any) -> Any:
        return self.quality(key) if isinstance(key, str) else super().__getitem__(key)

    def quality(self, key: str) -> float:
        """The quality of the first matching item, or 0."""
        for item, quality in self:
            if self._value_matches(key, item):
                return quality
        return 0

    def _accepts(self, value: str) -> bool:
        return any(self._value_matches(value, item) for item, _ in self)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and self._accepts(value)

    def index(self, key: str | tuple[str, float]) -> int:  # type: ignore[override]
        """The position of the first matching item. ValueError if no item matches."""
        if not isinstance(key, str):
            return super().index(key)
        for position, (item, _) in enumerate(self):
            if self._value_matches(key, item):
                return position
        raise ValueError(key)

    def find(self, key: str | tuple[str, float]) -> int:
        """The position of the first matching item, or -1."""
        try:
            return self.index(key)
        except ValueError:
            return -1

    def values(self) -> Iterator[str]:
        """The values without their quality."""
        for item, _ in self:
            yield item

    def to_header(self) -> str:
        """The items as the value of a field."""
        return ",".join([v if q == 1 else f"{v};q={q}" for v, q in self])

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        return f"{type(self).__name__}([{', '.join([repr(pair) for pair in self])}])"

    def best_match(self, matches: Iterable[str], default: str | None = None) -> str | None:
        """The offer that the client prefers; of equal offers the more specific, then the first.

        The most specific item that matches an offer decides, so an item with quality 0 refuses an
        offer that a wildcard would allow (RFC 9110, section 12.5.1).
        """
        best, best_quality = default, 0.0
        best_specificity: tuple[bool, ...] = (False,)
        for offer in matches:
            for item, quality in self:
                if not self._value_matches(offer, item):
                    continue
                specificity = self._specificity(item)
                if quality > best_quality or (
                    quality == best_quality > 0 and specificity > best_specificity
                ):
                    best, best_quality, best_specificity = offer, quality, specificity
                break
        return best

    @property
    def best(self) -> str | None:
        """The value that the client prefers; None if there are no items."""
        return self[0][0] if self else None


_NO_PARAMETERS: list[str] = []


def _media_type(value: str) -> tuple[str, str, list[str]]:
    """Type, subtype and sorted parameters, in lower case."""
    value = value.lower()
    if ";" in value:
        kind, sub, *parameters = _mime_parts(value)
        return kind, sub, sorted(parameters)
    kind, _, sub = value.partition("/")
    return kind, sub, _NO_PARAMETERS


class MIMEAccept(Accept):
    """Media types. `text/*` and `*/*` match; parameters have to be equal."""

    def _specificity(self, value: str) -> tuple[bool, ...]:
        parts = _mime_parts(value) if ";" in value else value.split("/")
        return tuple([part != "*" for part in parts])

    def _value_matches(self, value: str, item: str) -> bool:
        if "/" not in item:
            return False
        if "/" not in value:
            raise ValueError(f"invalid mimetype {value!r}: write one like 'text/html'.")
        own, own_sub, own_parameters = _media_type(value)
        if own == "*" and own_sub != "*":
            raise ValueError(f"invalid mimetype {value!r}: after '*' the second half is '*' too.")
        its, its_sub, its_parameters = _media_type(item)
        if its == "*" and its_sub != "*":
            return False
        if own == "*" or its == "*":
            return True
        if own != its:
            return False
        if own_sub == "*" or its_sub == "*":
            return True
        return own_sub == its_sub and own_parameters == its_parameters

    @property
    def accept_html(self) -> bool:
        """Whether HTML or XHTML is accepted."""
        return self._accepts("text/html") or self.accept_xhtml

    @property
    def accept_xhtml(self) -> bool:
        """Whether XHTML is accepted, by its own media type or as XML."""
        return self._accepts("application/xhtml+xml") or self._accepts("application/xml")

    @property
    def accept_json(self) -> bool:
        """Whether JSON is accepted."""
        return self._accepts("application/json")


class LanguageAccept(Accept):
    """Language tags. `_` and `-` are equal, and `best_match` falls back to the primary language."""

    def _value_matches(self, value: str, item: str) -> bool:
        return item == "*" or _locale_parts(value.lower()) == _locale_parts(item.lower())

    def best_match(self, matches: Iterable[str], default: str | None = None) -> str | None:
        """The best offer by whole tags, then by the primary languages of the client or the offers.

        `en` matches `en-US` and `en-US` matches `en`, but `en-GB` does not match `en-US` (RFC 4647,
        section 3.4).
        """
        matches = list(matches)
        result = super().best_match(matches)
        if result is not None:
            return result
        languages = Accept([(_locale_parts(item, 1)[0], quality) for item, quality in self])
        result = languages.best_match(matches)
        if result is not None:
            return result
        offered: dict[str, str] = {}
        for offer in matches:
            offered.setdefault(_locale_parts(offer, 1)[0], offer)
        result = super().best_match(offered)
        return default if result is None else offered[result]


class CharsetAccept(Accept):
    """Charsets. Different names of one encoding match."""

    def _value_matches(self, value: str, item: str) -> bool:
        return item == "*" or _encoding(value) == _encoding(item)


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):  # ValueError: a null character in the name
        return name.lower()


@overload
def parse_accept_header(value: str | None) -> Accept: ...
@overload
def parse_accept_header(value: str | None, cls: None) -> Accept: ...
@overload
def parse_accept_header(value: str | None, cls: type[A]) -> A: ...
def parse_accept_header(value: str | None, cls: type[Any] | None = None) -> Any:
    """The items of an `Accept*` field, without items whose quality is not a number from 0 to 1."""
    cls = Accept if cls is None else cls
    if not value:
        return cls(None)
    pairs: list[tuple[str, float]] = []
    for element in parse_list_header(value)[:MAX_ITEMS]:
        if ";" not in element:
            pairs.append((element.strip(" \t"), 1))
            continue
        match = _simple(element)
        item, options = (match[1], {"q": match[2]}) if match else parse_options_header(element)
        quality: float = 1
        if "q" in options:
            text = options.pop("q").strip(" \t")
            if not _quality(text) or not 0 <= (quality := float(text)) <= 1:
                continue
        pairs.append((dump_options_header(item, options) if options else item, quality))
    return cls(pairs)
