"""The frames of a traceback: with variables, a console, and the part of the line that raised."""

from __future__ import annotations

import linecache
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

from carboy.dev.debugger import page
from carboy.dev.debugger.console import Console
from carboy.dev.debugger.template_marks import TOP_LEVEL, Delimiters, Raised, lines_of, marked
from carboy.dev.highlight import is_python
from carboy.dev.ownership import is_library
from carboy.http.properties import cached_property

JINJA = "__jinja_exception__"  # a global variable in the frames that Jinja makes for templates
COMPILED = "__jinja_template__"  # the same in the code that Jinja makes of a template
FROM_STRING = ("render_template_string", "stream_template_string", "from_string")
# Local variables of this name in a frame hide frames of the traceback, or are shown with it.
HIDE = "__traceback_hide__"
INFO = "__traceback_info__"
CHANGED = "The file has changed since this code was loaded."
BELOW = 4  # frames below that of a template, among which is what the template called
STARTED = time.time()


class DebugFrameSummary(traceback.FrameSummary):
    """A frame of a traceback with its variables and a console."""

    # FrameSummary has slots, so this class has them, too; cached properties use _cache_*.
    __slots__ = (
        "_cache_console",
        "_cache_info",
        "_cache_is_library",
        "_own_code",
        "_own_text",
        "global_ns",
        "local_ns",
    )

    def __init__(
        self,
        *,
        locals: dict[str, Any],
        globals: dict[str, Any],
        code: CodeType | None = None,
        text: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(locals=None, **kwargs)
        self.local_ns = locals
        self.global_ns = globals
        self._own_code = code
        self._own_text = text  # source code that is not in a file

    @cached_property
    def info(self) -> str | None:
        """The value of `__traceback_info__` in the frame."""
        return self.local_ns.get(INFO)

    @cached_property
    def is_library(self) -> bool:
        """Whether the code is in an installed package or in Python."""
        return is_library(self.filename, self.global_ns)

    @cached_property
    def console(self) -> Console:
        """The console of this frame, which keeps its names from line to line."""
        return Console(self.global_ns, self.local_ns)

    def eval(self, code: str) -> Any:
        """Run code in the frame and return the transcript as HTML."""
        return self.console.eval(code)

    def render_html(self, mark_library: bool) -> str:
        """The frame with the lines around the current line."""
        own = not self.is_library
        return page.frame_html(
            filename=self.filename,
            lineno=self.lineno or 1,
            function=self.name,
            source=self._source(),
            library=mark_library and not own,
            id=id(self),
            note=CHANGED if own and _is_stale(self.filename, self._own_code) else "",
        )

    def _lines(self) -> list[str]:
        lines = lines_of(self._own_text) or linecache.getlines(self.filename)
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
        python = is_python(self.filename) and JINJA not in self.global_ns
        return page.source_html(lines, current, mark, python)

    def _mark(self, line: str) -> tuple[int, int] | None:
        """Start and end of the expression that raised, in the line."""
        if self.colno is None or self.end_colno is None:
            return None
        encoded = line.encode("utf-8", "surrogatepass")
        start = len(encoded[: self.colno].decode("utf-8", "replace"))
        if self.end_lineno not in (None, self.lineno):
            return start, len(line)
        return start, len(encoded[: self.end_colno].decode("utf-8", "replace"))


def summaries(
    error: BaseException, te: traceback.TracebackException, skip: int, hide: bool
) -> list[DebugFrameSummary]:
    """The frames of an exception, without those that are hidden."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    strings = _Strings()
    found: list[tuple[FrameType, DebugFrameSummary]] = []
    for number, (frame, each) in enumerate(zip(frames, te.stack, strict=False)):
        strings.enter(frame)
        if _is_template(frame):
            below = frames[number + 1 : number + 1 + BELOW]
            found.append((frame, _of_template(frame, each, error, below, strings)))
        else:
            found.append((frame, _of_python(frame, each)))
            if (of_django := _of_django(frame)) is not None:
                found.append((frame, of_django))
    found = found[skip:]
    return _not_hidden(found) if hide else [summary for _, summary in found]


def _of_python(frame: FrameType, each: Any) -> DebugFrameSummary:
    positions: dict[str, Any] = {
        name: getattr(each, name, None) for name in ("end_lineno", "colno", "end_colno")
    }
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
        code=frame.f_code,
        **positions,
    )


# --- templates


@dataclass(slots=True)
class _Strings:
    """Facts about a template from the frames above it: its text, if that is not in a file."""

    text: str = ""
    environment: Any = None
    _seen: list[Any] = field(default_factory=list)

    def enter(self, frame: FrameType) -> None:
        """Note what a frame knows of templates."""
        names = frame.f_locals
        if frame.f_code.co_name in FROM_STRING and isinstance(names.get("source"), str):
            self.text = names["source"]
        own: Any = names.get("self")
        if hasattr(type(own), "get_corresponding_lineno"):  # a template that is rendered
            self.environment = own.environment
            if own.name is not None and own.filename in (None, "<template>"):
                self.text = _loaded(own)
        elif hasattr(type(own), "variable_start_string"):
            self.environment = own

    def delimiters(self) -> Delimiters:
        """The delimiters of the template."""
        env = self.environment
        if env is None:
            return Delimiters()
        return Delimiters(
            (env.block_start_string, env.block_end_string),
            (env.variable_start_string, env.variable_end_string),
            (env.comment_start_string, env.comment_end_string),
        )

    def known(self, function: Any) -> Iterator[str]:
        """The filters and tests that are this function."""
        for names in (getattr(self.environment, kind, {}) for kind in ("filters", "tests")):
            yield from (name for name, each in names.items() if _runs(each, function))


def _loaded(template: Any) -> str:
    """The text of a template whose loader has no files, such as a DictLoader."""
    try:
        return str(template.environment.loader.get_source(template.environment, template.name)[0])
    except Exception:  # any error of the application's loader
        return ""


def _of_template(
    frame: FrameType, each: Any, error: BaseException, below: list[FrameType], strings: _Strings
) -> DebugFrameSummary:
    number, name = each.lineno or 1, each.name
    if compiled := frame.f_globals.get(COMPILED):  # Jinja did not replace the frame
        number = compiled.get_corresponding_lineno(number)
        name = _place(name)
    in_file = not each.filename.startswith("<")
    text = "" if in_file else getattr(error, "source", None) or strings.text
    source = text or "".join(linecache.getlines(each.filename))
    mark = marked(source, number, _raised(frame, error, below, strings), strings.delimiters())
    lines = lines_of(source)
    line = lines[number - 1].rstrip("\r\n") if number <= len(lines) else ""
    start, stop = (len(line[:at].encode("utf-8", "replace")) for at in mark or (0, 0))
    return DebugFrameSummary(
        filename=each.filename,
        lineno=number,
        name=name,
        line=f"{line}\n",  # as if it was read from a file
        lookup_line=False,
        locals=frame.f_locals,
        globals={**frame.f_globals, JINJA: error},
        text=text,
        end_lineno=number,
        colno=start if mark else None,
        end_colno=stop if mark else None,
    )


def _of_django(frame: FrameType) -> DebugFrameSummary | None:
    """A frame for the tag of a template that Django renders in this frame, in debug mode."""
    names = frame.f_locals
    if frame.f_code.co_name != "render_annotated" or "context" not in names:
        return None
    node: Any = names.get("self")
    file, token = str(getattr(node.origin, "name", "")), getattr(node, "token", None)
    lines = linecache.getlines(file)
    number, span = getattr(token, "lineno", 0), getattr(token, "position", None)
    if span is None or not 0 < number <= len(lines):
        return None
    line, before = lines[number - 1], sum(map(len, lines[: number - 1]))
    columns = (min(max(0, at - before), len(line.rstrip("\n"))) for at in span)
    start, stop = (len(line[:at].encode("utf-8", "replace")) for at in columns)
    return DebugFrameSummary(
        filename=file,
        lineno=number,
        name="template",
        line=line,
        lookup_line=False,
        locals={**_variables(names["context"]), "context": names["context"]},
        globals={JINJA: None, **frame.f_globals},
        end_lineno=number,
        colno=start,
        end_colno=stop,
    )


def _variables(context: Any) -> dict[str, Any]:
    """The variables of a context of Django."""
    try:
        return dict(context.flatten())
    except Exception:  # a context of the application's own
        return {}


def _place(function: str) -> str:
    """The name that Jinja gives to the frame of a function that it made."""
    if function == "root":
        return TOP_LEVEL
    return f"block {function[6:]!r}" if function.startswith("block_") else "template"


def _raised(
    frame: FrameType, error: BaseException, below: list[FrameType], strings: _Strings
) -> Raised:
    kinds = [each.__name__ for each in type(error).__mro__]
    message = str(getattr(error, "message", None) or (error.args or ("",))[0])
    own = (each for each in below if not str(each.f_globals.get("__name__")).startswith("jinja2."))
    called = next(own, None)
    if "TemplateSyntaxError" in kinds and called is _last(error):  # the template that is not valid
        return Raised(kinds[0], "", inner=TOP_LEVEL)
    if called is not None and _is_template(called):
        return Raised(kinds[0], "", inner=_inner_name(called))
    if not below or "UndefinedError" in kinds:
        return Raised(kinds[0], message)
    if "TemplateError" in kinds:  # another template is missing or not valid
        return Raised(kinds[0], "", inner=TOP_LEVEL)
    names = []
    for each in below:
        if _is_template(each):
            break
        code = each.f_code
        known = {name for name, value in frame.f_locals.items() if _runs(value, code)}
        names.append(frozenset({*known, *strings.known(code), code.co_name}))
    return Raised(kinds[0], message, tuple(names))


def _last(error: BaseException) -> FrameType | None:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1] if frames else None


def _is_template(frame: FrameType) -> bool:
    return JINJA in frame.f_globals or COMPILED in frame.f_globals


def _inner_name(frame: FrameType) -> str:
    name = frame.f_code.co_name
    return _place(name) if COMPILED in frame.f_globals else name


def _runs(value: Any, code: Any) -> bool:
    """Whether calling a value runs this code first."""
    kind = type(value)  # no attribute is read of anything else: it may be a proxy
    if kind is MethodType:
        value = value.__func__
    elif kind is type:
        value = vars(value).get("__init__")
    return type(value) is FunctionType and value.__code__ is code


# --- hidden frames, and code that has changed


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


def _is_stale(filename: str, code: CodeType | None) -> bool:
    """Whether a file has other code now than the code that runs."""
    if code is None or not is_python(filename):
        return False
    try:
        stat = Path(filename).stat()
    except (OSError, ValueError):
        return False
    if stat.st_mtime < STARTED:
        return False
    return code not in _codes_of(filename, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _codes_of(filename: str, mtime: int, size: int) -> frozenset[CodeType]:
    """All code objects of a file as it is now; none if it is not valid."""
    try:
        waiting = [compile(Path(filename).read_bytes(), filename, "exec", dont_inherit=True)]
    except (OSError, SyntaxError, ValueError, RecursionError):
        return frozenset()
    found: set[CodeType] = set()
    while waiting:
        code = waiting.pop()
        found.add(code)
        waiting += (each for each in code.co_consts if isinstance(each, CodeType))
    return frozenset(found)
