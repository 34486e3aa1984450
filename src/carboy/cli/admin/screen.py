"""A terminal whose whole screen is used: its lines, its size and its keys.

The screen is the alternate one, so the terminal looks as before when it is left, even after SIGTERM
and while the process is suspended (Ctrl+Z). Only the main thread uses it, because of the signals.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from carboy.server.signals import named, waking

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = tty = None  # type: ignore[assignment]

ENTER = "\x1b[?1049h\x1b[?25l"  # the alternate screen; no cursor
LEAVE = "\x1b[?25h\x1b[?1049l"
HOME, REST_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"
GONE = "gone"  # instead of a key: the terminal is no longer there
RESIZED = "resized"
HANDLED = named("SIGWINCH", "SIGTSTP", "SIGTERM")


def is_terminal() -> bool:
    """Whether standard input and output are a terminal that can show a whole screen."""
    able = termios is not None and os.environ.get("TERM", "dumb") not in ("dumb", "")
    return able and sys.stdin.isatty() and sys.stdout.isatty()


class Screen:
    """The screen, within `with`."""

    def __init__(self) -> None:
        self._input = sys.stdin.fileno()
        self._modes: list[Any] = []
        self._before: dict[int, Any] = {}
        self._woken, self._wake = os.pipe()
        self._waking = waking(self._wake)  # also by a signal just before `key` begins to wait

    def __enter__(self) -> Screen:
        os.set_blocking(self._wake, False)
        self._modes = termios.tcgetattr(self._input)
        self._waking.__enter__()
        for number in HANDLED:
            self._before[number] = signal.signal(number, self._signalled)
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._waking.__exit__(None, None, None)
        os.close(self._woken)
        os.close(self._wake)

    def _take(self) -> None:
        tty.setcbreak(self._input, termios.TCSADRAIN)
        self._write(ENTER)

    def _give_back(self) -> None:
        try:
            self._write(LEAVE)
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._modes)
        except (OSError, termios.error):
            pass  # the terminal has gone

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            sys.exit(128 + number)  # `__exit__` gives the terminal back
        if number in named("SIGTSTP"):
            self._give_back()
            os.kill(os.getpid(), signal.SIGSTOP)
            self._take()

    @staticmethod
    def size() -> tuple[int, int]:
        """Columns and lines. Not of the variables COLUMNS and LINES, which stay as they were."""
        try:
            return os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            return 80, 24

    def show(self, lines: Sequence[str]) -> None:
        """Write lines over what is shown, without flickering."""
        self._write(HOME + "\r\n".join(f"{line}{REST_OF_LINE}" for line in lines) + REST)

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def key(self, seconds: float) -> str:
        """The key that is pressed within so many seconds, "" without one, RESIZED, or GONE."""
        ready = select.select([self._input, self._woken], [], [], max(0.0, seconds))[0]
        if self._woken in ready:
            os.read(self._woken, 4096)
            return RESIZED
        if not ready:
            return ""
        try:
            pressed = os.read(self._input, 64)
        except OSError:
            pressed = b""
        return pressed.decode("ascii", "replace")[:1] if pressed else GONE
