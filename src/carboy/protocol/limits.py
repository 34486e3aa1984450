"""How much one client may send: the limits of one request, with default and help text of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Up to this size a pattern that looks at each byte is faster than three passes over the head.
_SHORT = 128
KIB = 1024


def _limit(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request, in bytes unless said otherwise (docs/design.md, section 7).

    The command line makes an option of each, `--limit-` and its name, from default and help.
    """

    # RFC 9112, section 3 asks for at least 8000.
    request_line: int = _limit(
        8 * KIB, "Longest request line (method, target and version); a longer one gets 414."
    )
    field_line: int = _limit(8 * KIB, "Longest header line; a longer one gets 431.")
    fields_size: int = _limit(
        64 * KIB, "Largest size of all header lines of a request together; more gets 431."
    )
    fields_count: int = _limit(
        100, "Maximum number of header lines of a request; more of them get 431."
    )
    body: int = _limit(100 * KIB * KIB, "Largest request body; a larger one gets 413.")
    chunk_line: int = _limit(
        256, "Longest line before a chunk of a chunked body; a longer one gets 400."
    )
    trailers_size: int = _limit(
        8 * KIB, "Largest size of all trailer lines after a chunked body; more gets 400."
    )
    # RFC 9112, section 7.1.1: chunk extensions are limited in proportion to the data received,
    # so that a body of one-byte chunks with long extensions stays cheap.
    chunk_overhead: int = _limit(
        16 * KIB,
        "Largest size of all chunk lines of a body, in addition to 8 bytes for each byte of data;"
        " more gets 400.",
    )
    # In the environ of WSGI, "_" and "-" in a name become the same character.
    underscore_fields: bool = _limit(
        False,
        "Headers with an underscore in the name, passed to the application, which cannot tell the"
        " underscore from a hyphen.",
    )
    # Derived: a head of at most `quick` bytes can only exceed the limit on the number of fields,
    # and a head of at most `short` bytes no limit at all (a field line has at least four bytes).
    quick: int = field(init=False, repr=False, compare=False)
    short: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        quick = min(self.request_line, self.field_line, self.fields_size)
        object.__setattr__(self, "quick", quick)
        object.__setattr__(self, "short", min(quick, 4 * self.fields_count, _SHORT))
