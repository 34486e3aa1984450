"""The lines that `carboy dev` shows in the terminal."""

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
    """Shows the banner, then a line for each reload, refresh and error."""

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
        self.folder = Path.cwd()

    def ready(self, first: bool, why: Sequence[str], seconds: float, broken: str) -> None:
        what = files(why, self.folder) if why else "all files"
        if first:
            self.banner.show(self._lines(seconds), self._code())
        elif not broken:
            self._tell("↻", "36", f"{what}  reloaded in {seconds * 1000:.0f} ms")
        if broken:
            where = "" if first else f"{what}  "
            end = "" if broken.endswith((".", "?", "!")) else "."
            self.failed(f"{where}{broken}{end} Save a file to try again.")

    def saved(self, paths: Sequence[str]) -> None:
        """Show that files have changed, before their code is loaded."""
        self._tell("↻", "36", f"{files(paths, self.folder)}  has changed")

    def changed(self, kind: str, paths: Sequence[str]) -> None:
        """Show a change that only concerns open pages."""
        what = {"style": "style sheet swapped", "page": "page refreshed"}[kind]
        self._tell("↺", "36", f"{files(paths, self.folder)}  {what}")

    def repeated(self, path: str, count: int) -> None:
        """Show that a file has caused many reloads in a short time."""
        name = files([path], self.folder)
        self._tell(
            "!", "33", f"{name} has caused {count} reloads. If the application writes it, leave it"
            f" out: --exclude-patterns '*/{Path(path).name}'",
        )  # fmt: skip

    def failed(self, text: str) -> None:
        self._tell("✗", "1;31", text)

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
        """A QR code of the last address, which other devices can reach."""
        if not self.qr_code or not self.banner.output.is_terminal():
            return []
        code = qr_code(self._places()[-1], self.banner.colour)
        return [*code, ""] if code else ["To show a QR code of the address: pip install segno"]

    def _lines(self, seconds: float) -> list[str]:
        style = self.banner.style
        title = style(f"Carboy {__version__}", "1;36")
        return [
            f"{title} is serving {style(self.banner.name, '1')} in development",
            *(style(place, "1;4") for place in self._places()),
            *(style(note, "2") for note in self.notes),
            style(
                f"Ready in {seconds * 1000:.0f} ms, Python {platform.python_version()},"
                f" pid {os.getpid()}. Press Ctrl+C to stop",
                "2",
            ),
        ]


def files(paths: Sequence[str], here: Path) -> str:
    """The first paths, relative to the folder `here`, and the number of the others."""
    names = [
        str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
        for path in map(Path, paths[:SHOWN])
    ]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


QUIET = 2  # modules of margin; ISO/IEC 18004 asks for four, and scanners read two as well
# (upper half dark, lower half dark): the character, drawn dark on light
HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
# Independent of the terminal's colours: not every scanner reads a code that is light on dark.
DARK_ON_LIGHT = "\x1b[38;5;16;48;5;231m"


def qr_code(text: str, colour: bool) -> list[str]:
    """A QR code as lines of half blocks; no lines if the package segno is not installed.

    Without colours, the code is drawn for a dark terminal.
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
