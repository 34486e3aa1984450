"""Bytes as a learner types them: text with escapes, in which a line break is sent as CR LF."""

from __future__ import annotations

import re

ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.?)|\r?\n", re.DOTALL)
SIMPLE = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
VISIBLE = {"\r": "\\r", "\n": "\\n", "\t": "\\t", "\0": "\\0", "\\": "\\\\"}
MOST_BYTES, WIDE = 8192, 300  # of an excerpt, and characters of a line in it
HELP = (
    "Use \\r, \\n, \\t, \\0, \\xHH or \\\\, or \\c at the end of a line to send it without CR LF."
)


class TypedError(ValueError):
    """The text has an escape that does not exist, or characters that UTF-8 does not have."""


def of_text(text: str) -> bytes:
    """The bytes of several lines; nothing is added at the end. Raises TypedError."""
    parts: list[bytes] = []
    at = 0
    skip = False  # the next line break, after \c
    for found in ESCAPE.finditer(text):
        parts.append(_encoded(text[at : found.start()]))
        at = found.end()
        escape = found[1]
        if escape is None:
            parts.append(b"" if skip else b"\r\n")
            skip = False
        elif escape == "c" and text[at : at + 1] in ("", "\r", "\n"):
            skip = True
        elif escape in SIMPLE:
            parts.append(SIMPLE[escape].encode())
        elif escape[:1] == "x" and len(escape) == 3:
            parts.append(bytes([int(escape[1:], 16)]))
        else:
            raise TypedError(f"{found[0]!r} is not an escape. {HELP}".replace("\\\\", "\\", 1))
    parts.append(_encoded(text[at:]))
    return b"".join(parts)


def of_line(line: str) -> bytes:
    """The bytes of one line, with its CR LF. Raises TypedError."""
    return of_text(line + "\n")


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise TypedError("The text has half a character. Use \\xHH for single bytes.") from None


def visible(data: bytes) -> str:
    """The bytes as text on one line, with escapes for everything that cannot be seen."""
    return "".join(
        VISIBLE.get(char) or (char if " " <= char <= "~" else f"\\x{ord(char):02x}")
        for char in data.decode("latin-1")
    )


def excerpt(data: bytes, most: int) -> list[str]:
    """The first lines as visible text, and how much is left out."""
    begin = data[:MOST_BYTES]
    lines = lines_of(begin)
    shown = [line if len(line) <= WIDE else f"{line[:WIDE]}…" for line in lines[:most]]
    if len(lines) > most:
        shown.append(f"… and {len(lines) - most} more lines")
    if len(data) > len(begin):
        shown.append(f"… and {len(data) - len(begin):,} more bytes")
    return shown


def lines_of(data: bytes) -> list[str]:
    """The bytes as visible text, one line for each line of the bytes."""
    return [visible(line) for line in re.findall(rb"[^\n]*\n|[^\n]+$", data)]
