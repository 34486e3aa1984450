"""The appendix of a report: all bytes of the request and of the response, with their places.

Secrets are blanked in the recording already, with as many stars as they have bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from carboy.dev.explain.recording import Recording
from carboy.dev.explain.value_story import WIDTH, row_of
from carboy.dev.report.document import Block, Heading, Listing, Paragraph

TITLE = "Appendix: the complete bytes"
MOST_BINARY = 16 << 10  # bytes of a hex dump, a row of which has only 16 bytes
LONGEST = 96  # bytes in a line of text
END_OF_HEAD = b"\r\n\r\n"
BINARY = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
HOW = (
    "The number in front of a line is the place of its first byte, counted from 0. In text, \\r\\n"
    " is the end of a line, and a line of more than 96 bytes is divided. Secrets are replaced by as"
    " many stars as they have bytes."
)


def blocks(recording: Recording) -> list[Block]:
    """The section; [] if the recording has no bytes."""
    if not recording.sent and not recording.received:
        return []
    return [
        Heading(2, TITLE),
        Paragraph(HOW),
        *_message("The request", recording.sent, recording.sent_size),
        *_message("The response", recording.received, recording.received_size),
    ]


def _message(title: str, text: str, size: int) -> Iterator[Block]:
    data = text.encode("latin-1")
    size = max(size, len(data))
    yield Heading(3, f"{title}: {size:,} bytes")
    head, end, body = data.partition(END_OF_HEAD)
    start = len(head + end)
    if data:
        yield Listing("\n".join(_text(head + end, 0)), "text")
    if body and (rows := list(_text(body, start)) if is_text(body, size > len(data)) else []):
        yield Listing("\n".join(rows), "text")
        shown = len(data)
    elif body:
        shown = min(len(data), start + MOST_BINARY)
        rows = [row for offset in range(start, shown, WIDTH) for row in _hex(data, offset, shown)]
        yield Listing("\n".join(rows), "text")
    else:
        shown = len(data)
    if shown < size:
        yield Paragraph(
            f"The first {shown:,} bytes are shown; {size - shown:,} more bytes followed."
        )


def is_text(body: bytes, is_cut: bool) -> bool:
    """Whether the bytes are text in UTF-8, which may be cut within its last character."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as problem:
        if not is_cut or len(body) - problem.start >= 4:
            return False
        text = body[: problem.start].decode("utf-8")
    return not BINARY.search(text)


def _text(data: bytes, start: int) -> Iterator[str]:
    """Lines of text with the place of their first byte."""
    for line in data.splitlines(keepends=True):
        while line:
            part = _part(line)
            shown = part.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
            shown = shown.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
            yield f"{start:8,}  {shown}"
            start += len(part)
            line = line[len(part) :]


def _part(line: bytes) -> bytes:
    """The start of a line that has room, not divided within a character or the end of a line."""
    size = len(line) if len(line) <= LONGEST + 2 else LONGEST
    while size < len(line) and line[size] & 0xC0 == 0x80 and size > LONGEST - 4:
        size -= 1
    return line[:size]


def _hex(data: bytes, offset: int, end: int) -> Iterator[str]:
    row = row_of(data[:end], offset, set())
    yield f"{row.offset:08x}  {row.codes:<{WIDTH * 3}} {row.characters}"
