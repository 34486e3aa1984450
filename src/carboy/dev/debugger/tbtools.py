"""A traceback as text and as HTML, with a console in each frame."""

from __future__ import annotations

import linecache
import os
import re
import site
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from carboy.dev.debugger import page
from carboy.dev.debugger.console import Console, _InteractiveConsole
from carboy.dev.highlight import is_python
from carboy.dev.recursion import folded, repetition
from carboy.http.properties import cached_property

__all__ = ["DebugFrameSummary", "DebugTraceback", "render_console_html"]

# Where Python and packages are installed. The prefix is not among them: /usr/src may be a project.
SYSTEM_PATHS = tuple(
    os.path.realpath(path) + os.sep
    for path in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
        str(Path(__file__).parents[2]),
    }
)
JINJA = "__jinja_exception__"  # a global variable in the frames that Jinja makes for templates
# Expressions and statements in a line of a template, with Jinja's usual delimiters.
BLOCK = re.compile(
    r"\{\{-?\s*(?P<expression>.*?)\s*-?\}\}|\{%[-+]?\s*(?P<statement>.*?)\s*[-+]?%\}"
)
UNDEFINED = re.compile(r"'(\w+)' is undefined|has no attribute '(\w+)'")
# A local variable of this name in a frame hides frames of the traceback.
HIDE = "__traceback_hide__"
INFO = "__traceback_info__"


class DebugFrameSummary(traceback.FrameSummary):
    """A frame of a traceback with its variables and a console."""

    # FrameSummary has slots, so this class has them, too; cached properties use _cache_*.
    __slots__ = (
        "_cache_console",
        "_cache_info",
        "_cache_is_library",
        "global_ns",
        "local_ns",
    )

    def __init__(self, *, locals: dict[str, Any], globals: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(locals=None, **kwargs)
        self.local_ns = locals
        self.global_ns = globals

    @cached_property
    def info(self) -> str | None:
        """The value of `__traceback_info__` in the frame."""
        return self.local_ns.get(INFO)

    @cached_property
    def is_library(self) -> bool:
        """Whether the code is in an installed package or in Python."""
        filename = self.filename
        if filename.startswith("<frozen "):
            return True
        if filename.startswith("<"):  # made by the code of a module, or typed
            filename = str(self.global_ns.get("__file__") or filename)
        return os.path.realpath(filename).startswith(SYSTEM_PATHS)

    @cached_property
    def console(self) -> Console:
        """The console of this frame, which keeps its names from line to line."""
        return Console(self.global_ns, self.local_ns)

    def eval(self, code: str) -> Any:
        """Run code in the frame and return the transcript as HTML."""
        return self.console.eval(code)

    def render_html(self, mark_library: bool) -> str:
        """The frame with the lines around the current line."""
        return page.frame_html(
            filename=self.filename,
            lineno=self.lineno or 1,
            function=self.name,
            source=self._source(),
            library=mark_library and self.is_library,
            id=id(self),
        )

    def _lines(self) -> list[str]:
        lines = linecache.getlines(self.filename)
        loader = self.global_ns.get("__loader__")
        if not lines and hasattr(
            loader, "get_source_by_code"
        ):  # code that was typed into a console
            lines = (self.line or "").splitlines(keepends=True)
        return [line.rstrip("\r\n") for line in lines]

    def _source(self) -> str:
        lines = self._lines()
        current = (self.lineno or 1) - 1
        mark = self._mark(lines[current]) if current < len(lines) else None
        return page.source_html(lines, current, mark, is_python(self.filename))

    def _mark(self, line: str) -> tuple[int, int] | None:
        """Start and end of the expression that raised, in the line."""
        if self.colno is None or self.end_colno is None:
            return None
        encoded = line.encode()
        start = len(encoded[: self.colno].decode("utf-8", "replace"))
        if self.end_lineno not in (None, self.lineno):
            return start, len(line)
        return start, len(encoded[: self.end_colno].decode("utf-8", "replace"))


def _process_traceback(
    exc: BaseException, te: traceback.TracebackException, skip: int, hide: bool
) -> None:
    """Add variables to the frames of `te`, and remove hidden frames."""
    found = [
        (frame, _summary(frame, each))
        for (frame, _), each in zip(traceback.walk_tb(exc.__traceback__), te.stack, strict=False)
    ][skip:]
    te.stack[:] = _not_hidden(found) if hide else [summary for _, summary in found]
    for own, below in ((exc.__cause__, te.__cause__), (exc.__context__, te.__context__)):
        if own is not None and below is not None:
            _process_traceback(own, below, 0, hide)
    inner: Iterable[Any] = getattr(te, "exceptions", None) or ()
    for own, below in zip(getattr(exc, "exceptions", ()), inner, strict=False):
        _process_traceback(own, below, 0, hide)


def _summary(frame: FrameType, each: Any) -> DebugFrameSummary:
    positions: dict[str, Any] = {
        name: getattr(each, name, None) for name in ("end_lineno", "colno", "end_colno")
    }
    if JINJA in frame.f_globals:  # its columns are those of the Python code that Jinja made
        text = linecache.getline(each.filename, each.lineno or 1)
        start, stop = _template_columns(text, str(frame.f_globals[JINJA])) or (None, None)
        positions = {"end_lineno": each.lineno, "colno": start, "end_colno": stop}
    loader: Any = frame.f_globals.get("__loader__") or frame.f_locals.get("__loader__")
    line: str | None = None
    if hasattr(loader, "get_source_by_code"):
        source = (loader.get_source_by_code(frame.f_code) or "").splitlines()
        line = source[each.lineno - 1] if each.lineno and each.lineno <= len(source) else None
    return DebugFrameSummary(
        filename=each.filename,
        lineno=each.lineno,
        name=each.name,
        lookup_line=True,
        line=line,
        locals=frame.f_locals,
        globals=frame.f_globals,
        **positions,
    )


def _template_columns(line: str, message: str) -> tuple[int, int] | None:
    """Start and end, in bytes, of the part of a template's line that raised, if it is clear."""
    blocks = [match.span(match.lastgroup or 0) for match in BLOCK.finditer(line)]
    spans = blocks if len(blocks) == 1 else []
    if named := UNDEFINED.search(message):
        name = re.compile(rf"\b{named[1] or named[2]}\b")
        names = [match.span() for block in blocks for match in name.finditer(line, *block)]
        spans = names if len(names) == 1 else spans
    if not spans:
        return None
    start, stop = spans[0]
    return len(line[:start].encode()), len(line[:stop].encode())


def _not_hidden(found: list[tuple[FrameType, DebugFrameSummary]]) -> list[DebugFrameSummary]:
    shown: list[DebugFrameSummary] = []
    hidden = False
    for frame, summary in found:
        wish = frame.f_locals.get(HIDE, False)
        match wish:
            case "before" | "before_and_this":
                shown.clear()
                hidden = False
            case "reset" | "reset_and_this":
                hidden = False
            case "after" | "after_and_this":
                hidden = True
            case _ if wish or hidden:
                continue
        if not (isinstance(wish, str) and wish.endswith("_and_this")):
            shown.append(summary)
    return shown


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
            plain=self.render_traceback_text(),
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


def _rows(te: traceback.TracebackException, mark_library: bool) -> list[str]:
    """The frames of an exception and its causes; exceptions of a group are below it."""
    rows: list[str] = []
    for text, each in reversed(_chain(te)):
        if text is not None:
            rows.append(page.divider_html(text))
        rows += _frame_rows(each, mark_library)
        if each is not te:  # its message is shown above or below all frames
            rows.append(page.message_html(_message(each)))
        for number, inner in enumerate(_inner(each), 1):
            message = _message(inner)
            rows.append(page.divider_html(f"Exception {number} of the group"))
            below = page.traceback_html(_rows(inner, mark_library), message, False, False)
            rows.append(page.row_html(below, None))
    return rows


def _frame_rows(te: traceback.TracebackException, mark_library: bool) -> Iterator[str]:
    for frames, length, times in folded(te.stack):
        for frame in frames:
            assert isinstance(frame, DebugFrameSummary)
            yield page.row_html(frame.render_html(mark_library), frame.info)
        if times:
            yield page.repeated_html(repetition(length, times))
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


def _message(te: traceback.TracebackException) -> str:
    """Class and text of an exception, without the exceptions of its group."""
    lines = list(te.format_exception_only())
    return "".join(lines[:1] if _inner(te) else lines).rstrip("\n")


def _kind_and_text(te: traceback.TracebackException, name: str) -> tuple[str, str]:
    """Class and text of an exception."""
    message = _message(te)
    if _is_syntax_error(te):  # its message begins with the place
        message = message[message.rfind("\n", 0, message.rfind(te.msg or "")) + 1 :]
    kind, _, text = message.partition(": ")
    return (kind, text) if text else (name, message)


def render_console_html(secret: str, evalex_trusted: bool) -> str:
    """The page of a console without an exception."""
    return page.console_html(page.script(True, True, evalex_trusted, secret))


def _error_html(error: BaseException, skip: int) -> str:
    return DebugTraceback(error, skip=skip).render_traceback_html()


_InteractiveConsole.render_error = staticmethod(_error_html)
