"""How much one client may send: every limit has a name and a reason for its value."""

from __future__ import annotations

from dataclasses import dataclass, field

# Up to here a pattern that looks at each octet is quicker than three passes that hardly do.
_SHORT = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request, in bytes unless said otherwise (docs/design.md, section 7)."""

    request_line: int = 8 * 1024  # RFC 9112, section 3 asks for at least 8000
    field_line: int = 8 * 1024
    fields_size: int = 64 * 1024
    fields_count: int = 100
    body: int = 100 * 1024 * 1024
    chunk_line: int = 256
    trailers_size: int = 8 * 1024
    # RFC 9112, section 7.1.1: chunk extensions are limited in proportion to the data received,
    # so that a body of one-octet chunks with long extensions stays cheap.
    chunk_overhead: int = 16 * 1024
    underscore_fields: bool = False  # let names with "_" reach the environ, where they shadow "-"
    # Derived: a head of at most `quick` octets exceeds no limit but perhaps the number of fields,
    # one of at most `short` not that either (a field line has four octets or more).
    quick: int = field(init=False, repr=False, compare=False)
    short: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        quick = min(self.request_line, self.field_line, self.fields_size)
        object.__setattr__(self, "quick", quick)
        object.__setattr__(self, "short", min(quick, 4 * self.fields_count, _SHORT))
