"""What `carboy dev` shows in the terminal."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from carboy import __version__
from carboy.cli.banner import Banner, places

SHOWN = 3  # names of files in a line


class Terminal:
    """Tells when there is something to look at, what was reloaded and how long it took."""

    def __init__(
        self,
        name: str,
        sockets: Sequence[socket.socket],
        tls: bool,
        notes: Sequence[str],
        qr_code: bool = False,
        reported: Callable[[dict[str, Any]], object] = lambda report: None,
    ) -> None:
        self.banner = Banner(name)
        self.sockets = sockets
        self.tls = tls
        self.notes = notes
        self.qr_code = qr_code
        self.reported = reported

    def ready(self, first: bool, why: Sequence[str], seconds: float, broken: str) -> None:
        what = files(why) if why else "everything"
        if first:
            self.banner.show(self._lines(seconds), self._code())
        elif not broken:
            self._tell("↻", "36", f"{what}  reloaded in {seconds * 1000:.0f} ms")
        if broken:
            where = "" if first else f"{what}  "
            self.failed(f"{where}{broken.rstrip('.')}; the next save tries again.")

    def saved(self, paths: Sequence[str]) -> None:
        """New code is going to be loaded."""
        self._tell("↻", "36", f"{files(paths)}  has changed")

    def changed(self, kind: str, paths: Sequence[str]) -> None:
        """Something that only browsers have to know."""
        what = {"style": "style sheet swapped", "page": "page refreshed"}[kind]
        self._tell("↺", "36", f"{files(paths)}  {what}")

    def failed(self, text: str) -> None:
        self._tell("✗", "1;31", text.removeprefix("Error: "))

    def ended(self, text: str) -> None:
        self._tell("✗", "1;31", text)

    def stopped(self) -> None:
        self.banner.stopped()

    def _tell(self, sign: str, colour: str, text: str) -> None:
        self.banner.write(f"{self.banner.style(sign, colour)}  {text}\n")

    def _places(self) -> list[str]:
        scheme = "https://" if self.tls else "http://"
        return [place.replace("http://", scheme, 1) for place in places(self.sockets)]

    def _code(self) -> list[str]:
        """A QR code of the address that other devices find, the last one."""
        if not self.qr_code or not self.banner.output.is_terminal():
            return []
        code = drawn(self._places()[-1], self.banner.colour)
        return [*code, ""] if code else ["For a QR code of the address: pip install segno"]

    def _lines(self, seconds: float) -> list[str]:
        style = self.banner.style
        title = style(f"Carboy {__version__}", "1;36")
        return [
            f"{title} develops {style(self.banner.name, '1')}",
            *(style(place, "1;4") for place in self._places()),
            *(style(note, "2") for note in self.notes),
            style(
                f"ready in {seconds * 1000:.0f} ms, Python {platform.python_version()},"
                f" pid {os.getpid()}; Ctrl+C stops it",
                "2",
            ),
        ]


def files(paths: Sequence[str]) -> str:
    """A few paths, as seen from here."""
    here = Path.cwd()
    names = [
        str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
        for path in map(Path, paths[:SHOWN])
    ]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


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
