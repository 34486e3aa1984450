"""The access log in Werkzeug's format, on the logger `werkzeug`.

`line_of` formats the line of a request.
"""

from __future__ import annotations

import re
import sys
import time
from urllib.parse import unquote

from carboy.dates import MONTHS
from carboy.server.logs import error_log
from carboy.server.logs.debugger_secrets import without_secrets
from carboy.server.logs.facts import Record
from carboy.server.logs.handler_queue import LINE
from carboy.server.logs.writer import Writer
from carboy.werkzeug_log import _log

__all__ = ["_ansi_style", "_log_add_style"]

_log_add_style = sys.platform != "win32"

STYLES = {
    "bold": 1, "red": 31, "green": 32, "yellow": 33, "magenta": 35, "cyan": 36,
}  # fmt: skip
# A request line has no tabs and newlines to keep, and a backslash is escaped as well.
CONTROLS = error_log.CONTROLS | {9: r"\x09", 10: r"\x0a", ord("\\"): r"\\"}


def _ansi_style(value: str, *styles: str) -> str:
    """`value` in styles of the terminal, unless `_log_add_style` is false."""
    if not _log_add_style:
        return value
    for style in styles:
        value = f"\x1b[{STYLES[style]}m{value}"
    return f"{value}\x1b[0m"


def styled(line: str, status: str) -> str:
    """A request line in the colour of its status, such as "404"."""
    if status == "304":
        return _ansi_style(line, "cyan")
    if status == "404":
        return _ansi_style(line, "yellow")
    match status[:1]:
        case "1":
            return _ansi_style(line, "bold")
        case "2":
            return line
        case "3":
            return _ansi_style(line, "green")
        case "4":
            return _ansi_style(line, "bold", "red")
        case _:
            return _ansi_style(line, "bold", "magenta")


# Escaped bytes above ASCII are text to read. Other escapes are logged as they were sent.
_TEXT = re.compile("(?:%[89a-fA-F][0-9a-fA-F])+")


def readable(target: str) -> str:
    """A request target with its escaped UTF-8 decoded and other escapes as they were sent.

    Secrets of a debugger are masked.
    """
    target = without_secrets(target)
    return _TEXT.sub(_decoded, target) if "%" in target else target


def _decoded(match: re.Match[str]) -> str:
    try:
        return unquote(match[0], errors="strict")
    except UnicodeDecodeError:
        return match[0]


def moment(seconds: float) -> str:
    """ "24/Nov/2026 10:44:43" in local time."""
    local = time.localtime(seconds)
    return time.strftime(f"%d/{MONTHS[local.tm_mon - 1]}/%Y %H:%M:%S", local)


def line_of(record: Record) -> str:
    """The access line of a request that was answered or refused."""
    when, peer, head, fallback, status, *_ = record
    if head is None:
        line = without_secrets(fallback)
    else:
        line = f"{head.method} {readable(head.target)} {head.version}"
    line = styled(line.translate(CONTROLS), str(status))
    return f'{peer or "<local>"} - - [{moment(when)}] "{line}" {status} -'


class LoggerAccess:
    """An access log on the logger `werkzeug`, whose handlers are called in another thread."""

    def __init__(self, writer: Writer) -> None:
        self.handlers = writer.handlers
        self.handlers.start()

    def __call__(self, record: Record) -> None:
        line = line_of(record)
        self.handlers.call(_information, line, LINE + len(line))

    def close(self) -> None:
        """Does nothing: no file is open."""


def _information(line: str) -> None:
    _log("info", "%s", line)
