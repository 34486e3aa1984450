"""Entity tags, alone and in `If-Match` and `If-None-Match` (RFC 9110, sections 8.8.3 and 13.1)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

# A tag, or a word without quotes, and the comma after it.
_tag = re.compile(r'[ \t]*+([Ww]/)?(?:"([^"]*)"|([^ \t",]+)|)[ \t]*+(?:,|\Z)')


def quote_etag(etag: str, weak: bool = False) -> str:
    """The tag as written in a header. ValueError if it contains a quote."""
    if '"' in etag:
        raise ValueError(f"invalid etag: {etag!r} must not contain a quote.")
    return f'W/"{etag}"' if weak else f'"{etag}"'


def unquote_etag(etag: str | None) -> tuple[str, bool] | tuple[None, None]:
    """The tag without quotes and whether it is weak; (None, None) without a value."""
    if not etag:
        return None, None
    weak = etag.startswith(("W/", "w/"))
    if weak:
        etag = etag[2:]
    if etag[:1] == etag[-1:] == '"':
        etag = etag[1:-1]
    return etag, weak


def generate_etag(data: bytes) -> str:
    """A tag computed from the content: its SHA-1 in hexadecimal."""
    import hashlib

    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


class ETags(Collection[str]):
    """The tags of `If-Match` or `If-None-Match`; `*` (`star_tag`) matches any tag.

    The collection contains the strong tags.
    """

    def __init__(
        self,
        strong_etags: Iterable[str] | None = None,
        weak_etags: Iterable[str] | None = None,
        star_tag: bool = False,
    ) -> None:
        # Dicts, to keep the order of the tags.
        self._strong = dict.fromkeys(() if star_tag or not strong_etags else strong_etags)
        self._weak = dict.fromkeys(weak_etags or ())
        self.star_tag = star_tag

    def as_set(self, include_weak: bool = False) -> set[str]:
        """The strong tags, or all tags with `include_weak`, as a plain set."""
        return {*self._strong, *self._weak} if include_weak else set(self._strong)

    def is_weak(self, etag: str) -> bool:
        """Whether the tag is one of the weak tags."""
        return etag in self._weak

    def is_strong(self, etag: str) -> bool:
        """Whether the tag is one of the strong tags."""
        return etag in self._strong

    def contains_weak(self, etag: str) -> bool:
        """Whether the tag matches by weak comparison, with the strong and weak tags."""
        return self.is_weak(etag) or self.contains(etag)

    def contains(self, etag: str) -> bool:
        """Whether the tag matches by strong comparison, with the strong tags only."""
        return self.star_tag or self.is_strong(etag)

    def contains_raw(self, etag: str) -> bool:
        """Whether a quoted tag matches; a weak tag is compared weakly."""
        tag, weak = unquote_etag(etag)
        if tag is None:
            return False
        return self.contains_weak(tag) if weak else self.contains(tag)

    def to_header(self) -> str:
        """The tags as the value of a field."""
        if self.star_tag:
            return "*"
        return ", ".join([f'"{tag}"' for tag in self._strong] + [f'W/"{t}"' for t in self._weak])

    def __call__(
        self, etag: str | None = None, data: bytes | None = None, include_weak: bool = False
    ) -> bool:
        if etag is None:
            if data is None:
                raise TypeError("'data' is required when 'etag' is not given.")
            etag = generate_etag(data)
        return (include_weak and etag in self._weak) or etag in self._strong

    def __bool__(self) -> bool:
        return bool(self.star_tag or self._strong or self._weak)

    def __contains__(self, etag: object) -> bool:
        return self.contains(etag)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self._strong)

    def __iter__(self) -> Iterator[str]:
        return iter(self._strong)

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self)!r}>"


def parse_etags(value: str | None) -> ETags:
    """The tags of a field, without malformed tags."""
    if not value:
        return ETags()
    if value.strip(" \t") == "*":
        return ETags(star_tag=True)
    strong: list[str] = []
    weak: list[str] = []
    position, end = 0, len(value)
    while position < end:
        match = _tag.match(value, position)
        if match is None:
            position = value.find(",", position) + 1 or end
            continue
        position = match.end()
        mark, quoted, bare = match.groups()
        if quoted is not None or bare:
            (weak if mark else strong).append(bare if quoted is None else quoted)
        elif mark:  # a word of two characters
            strong.append(mark)
    return ETags(strong, weak)
