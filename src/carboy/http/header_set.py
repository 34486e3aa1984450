"""A set of tokens in one field, in order and without regard to case: `Vary`, `Allow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSet
from typing import Any, SupportsIndex

from carboy.http.options import parse_list_header, quote_header_value


class HeaderSet(MutableSet[str]):
    """Words that keep their order and case but are compared without it.

    After each change `on_update(self)` is called.
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
        """Add a word at the end, unless it is there."""
        self.update((header,))

    def remove(self, header: str) -> None:
        """Remove a word. KeyError if it is not there."""
        lowered = header.lower()
        if lowered not in self._set:
            raise KeyError(header)
        self._set.remove(lowered)
        self._headers = [each for each in self._headers if each.lower() != lowered]
        self._changed()

    def update(self, iterable: Iterable[str]) -> None:
        """Add the words that are not there yet."""
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
        """Remove a word, if it is there."""
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
        """The position of a word. IndexError if it is not there."""
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
    """The words of a field's value; None and "" have none."""
    return HeaderSet(parse_list_header(value) if value else None, on_update)
