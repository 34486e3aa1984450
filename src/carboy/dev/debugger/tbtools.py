"""A traceback as text and as HTML, with a console in each frame."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from carboy.dev.debugger import page
from carboy.dev.debugger.console import Console, _InteractiveConsole
from carboy.dev.debugger.frames import DebugFrameSummary, summaries
from carboy.dev.recursion import folded
from carboy.http.properties import cached_property

__all__ = ["Console", "DebugFrameSummary", "DebugTraceback", "render_console_html"]

CHAIN_FIRST, CHAIN_LAST = 10, 30  # exceptions of a chain that are shown
GROUP = 50  # exceptions of a group that are shown
DEEPEST = 10  # groups inside of groups that are shown, as in Python's own text
MOST = 10_000  # characters of a message that are shown
TEXT_MOST = 200_000  # characters of the traceback as text, of its begin and of its end


def _process_traceback(
    error: BaseException, te: traceback.TracebackException, skip: int, hide: bool
) -> None:
    """Replace the frames of an exception, of its causes and of the exceptions in groups."""
    waiting = [(error, te, skip)]
    while waiting:
        exc, each, skip = waiting.pop()
        each.stack[:] = summaries(exc, each, skip, hide)
        pairs = [(exc.__cause__, each.__cause__), (exc.__context__, each.__context__)]
        pairs += zip(getattr(exc, "exceptions", ()), _inner(each), strict=False)
        waiting += ((own, below, 0) for own, below in pairs if own is not None and below)


class DebugTraceback:
    """An exception with its causes and, for a group, its exceptions."""

    def __init__(
        self,
        exc: BaseException,
        te: traceback.TracebackException | None = None,
        *,
        skip: int = 0,
        hide: bool = True,
    ) -> None:
        self._name = type(exc).__name__
        self._te = te or traceback.TracebackException.from_exception(exc)
        _process_traceback(exc, self._te, skip, hide)

    def __str__(self) -> str:
        return f"<{type(self).__name__} {self._te}>"

    @cached_property
    def all_tracebacks(self) -> list[tuple[str | None, traceback.TracebackException]]:
        """The exception and its causes, the last one first, each with the text that joins them."""
        return _chain(self._te)

    @cached_property
    def all_frames(self) -> list[DebugFrameSummary]:
        """All frames: of the exception, of its causes, and of the exceptions in groups."""
        return list(_frames(self._te))

    @property
    def name(self) -> str:
        """The class of the exception."""
        return self._name

    @property
    def message(self) -> str:
        """Class and text of the exception."""
        return _message(self._te)

    @property
    def exception(self) -> traceback.TracebackException:
        """The exception in the form of the standard library, with `DebugFrameSummary` frames."""
        return self._te

    def render_traceback_text(self) -> str:
        """The traceback as Python shows it."""
        return "".join(self._te.format())

    def render_traceback_html(self, include_title: bool = True) -> str:
        """All frames, the oldest first, then the exception."""
        library = [frame.is_library for frame in self.all_frames]
        mark_library = any(library) and not all(library)
        rows = _rows(self._te, mark_library)
        syntax = _is_syntax_error(self._te)
        return page.traceback_html(rows, self.message, syntax, include_title)

    def render_debugger_html(
        self,
        evalex: bool,
        secret: str,
        evalex_trusted: bool,
        request: str = "",
        hints: Iterable[str] = (),
    ) -> str:
        """The whole page; `request` is HTML about the request."""
        kind, message = _kind_and_text(self._te, self._name)
        return page.debugger_html(
            kind=kind,
            message=message,
            summary=self.render_traceback_html(include_title=False),
            plain=shortened(self.render_traceback_text(), TEXT_MOST),
            script=page.script(False, evalex, evalex_trusted, secret),
            request=request,
            hints=hints,
        )


def _chain(
    te: traceback.TracebackException,
) -> list[tuple[str | None, traceback.TracebackException]]:
    found: list[tuple[str | None, traceback.TracebackException]] = []
    current: traceback.TracebackException | None = te
    while current is not None:
        text, below = None, None
        if current.__cause__ is not None:
            text, below = page.CAUSE, current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            text, below = page.WHILE, current.__context__
        found.append((text, current))
        current = below
    return found


def _inner(te: traceback.TracebackException) -> list[traceback.TracebackException]:
    return getattr(te, "exceptions", None) or []


def _frames(te: traceback.TracebackException) -> Iterator[DebugFrameSummary]:
    for _, each in _chain(te):
        yield from each.stack  # type: ignore[misc]
        for inner in _inner(each):
            yield from _frames(inner)


def _rows(te: traceback.TracebackException, mark_library: bool, depth: int = 0) -> list[str]:
    """The frames of an exception and its causes; exceptions of a group are below it."""
    rows: list[str] = []
    chain = list(reversed(_chain(te)))
    left_out = len(chain) - CHAIN_FIRST - CHAIN_LAST
    for number, (text, each) in enumerate(chain):
        if left_out > 0 and CHAIN_FIRST <= number < CHAIN_FIRST + left_out:
            if number == CHAIN_FIRST:
                rows.append(page.repeated_html(f"{left_out:,} exceptions are left out"))
            continue
        if text is not None:
            rows.append(page.divider_html(text))
        rows += _frame_rows(each, mark_library)
        if each is not te:  # its message is shown above or below all frames
            rows.append(page.message_html(_message(each)))
        rows += _group_rows(each, mark_library, depth)
    return rows


def _group_rows(te: traceback.TracebackException, mark_library: bool, depth: int) -> Iterator[str]:
    inner = _inner(te)
    if inner and depth == DEEPEST:
        yield page.repeated_html("Groups inside of this group are left out")
        return
    for number, each in enumerate(inner[:GROUP], 1):
        yield page.divider_html(f"Exception {number} of the group")
        below = _rows(each, mark_library, depth + 1)
        yield page.row_html(page.traceback_html(below, _message(each), False, False), None)
    if len(inner) > GROUP:
        text = f"{len(inner) - GROUP:,} more exceptions of the group are left out"
        yield page.repeated_html(text)


def _frame_rows(te: traceback.TracebackException, mark_library: bool) -> Iterator[str]:
    for frames, left_out in folded(te.stack):
        for frame in frames:
            assert isinstance(frame, DebugFrameSummary)
            yield page.row_html(frame.render_html(mark_library), frame.info)
        if left_out:
            yield page.repeated_html(left_out)
    if _is_syntax_error(te) and te.filename and te.filename[0] != "<":  # not in a console
        yield page.row_html(_syntax_html(te), None)


def _is_syntax_error(te: traceback.TracebackException) -> bool:
    return hasattr(te, "msg")


def _syntax_html(te: traceback.TracebackException) -> str:
    """The place of a syntax error, shown like a frame."""
    filename, number = te.filename or "", int(te.lineno or 1)
    lines = [line.rstrip("\r\n") for line in linecache.getlines(filename)]
    if len(lines) < number:
        lines += [""] * (number - len(lines))
        lines[number - 1] = (te.text or "").rstrip("\n")
    start = int(te.offset or 0) - 1
    end = int(te.end_offset or 0) - 1 if te.end_lineno in (None, te.lineno) else -1
    mark = (start, max(end, start + 1)) if start >= 0 else None
    source = page.source_html(lines, number - 1, mark)
    return page.frame_html(filename, number, "syntax error", source)


def shortened(text: str, most: int) -> str:
    """The begin and the end of a text, if it is longer than that together."""
    if len(text) <= 2 * most:
        return text
    left_out = f"\n… {len(text) - 2 * most:,} characters are left out …\n"
    return text[:most] + left_out + text[-most:]


def _message(te: traceback.TracebackException) -> str:
    """Class, text and notes of an exception, without the exceptions of its group."""
    return shortened("".join(te.format_exception_only()).rstrip("\n"), MOST)


def _kind_and_text(te: traceback.TracebackException, name: str) -> tuple[str, str]:
    """Class and text of an exception. Without a text, the name of the class is the text."""
    message = _message(te)
    if _is_syntax_error(te):  # its message begins with the place
        message = message[message.rfind("\n", 0, message.rfind(te.msg or "")) + 1 :]
    kind, separator, text = message.partition(_kind(te))
    if kind or not separator:  # not at the begin
        return name, message
    if text.startswith(": "):
        return separator, text[2:]
    return separator, f"{name}{text}"


def _kind(te: traceback.TracebackException) -> str:
    """The class of an exception as it is shown at the begin of its message."""
    kind: Any = te.exc_type
    if kind is None or kind.__module__ in ("__main__", "builtins"):
        return getattr(kind, "__qualname__", "")
    return f"{kind.__module__}.{kind.__qualname__}"


def render_console_html(secret: str, evalex_trusted: bool) -> str:
    """The page of a console without an exception."""
    return page.console_html(page.script(True, True, evalex_trusted, secret))


def _error_html(error: BaseException, skip: int) -> str:
    return DebugTraceback(error, skip=skip).render_traceback_html()


_InteractiveConsole.render_error = staticmethod(_error_html)
