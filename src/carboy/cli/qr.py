"""A QR code for the terminal, so that a telephone finds the address."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

QUIET = 2  # modules of margin; four are the rule (ISO/IEC 18004), and two are read as well
# Upper and lower half of a cell, by which of the two are dark: drawn dark on light.
HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
# Whatever the terminal's own colours: a code that is light on dark is not read by everything.
DARK_ON_LIGHT = "\x1b[38;5;16;48;5;231m"


def drawn(text: str, colour: bool) -> list[str]:
    """Lines of half blocks; none where the package segno is missing.

    Without colours the code is drawn for a dark terminal.
    """
    if find_spec("segno") is None:
        return []
    code = import_module("segno").make(text, micro=False, error="l")
    rows = [[bool(dark) == colour for dark in row] for row in code.matrix_iter(border=QUIET)]
    if len(rows) % 2:
        rows.append([not colour] * len(rows[0]))
    lines = [
        "".join(HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
    return [f"{DARK_ON_LIGHT}{line}\x1b[0m" if colour else line for line in lines]
