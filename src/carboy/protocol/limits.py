"""How much one client may send: every limit has a name and a reason for its value."""

from __future__ import annotations

from dataclasses import dataclass


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

    @property
    def quick(self) -> int:
        """A head of at most so many octets can exceed no limit but the number of fields."""
        return min(self.request_line, self.field_line, self.fields_size)
