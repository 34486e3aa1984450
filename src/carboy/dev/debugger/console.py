"""A Python console whose input comes by HTTP and whose output is HTML."""

from __future__ import annotations

import code
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from threading import Lock
from types import CodeType
from typing import Any

from markupsafe import escape

from carboy.dev.debugger.repr import debug_repr, dump, helper

__all__ = ["Console", "HTMLStringO", "ThreadedStream"]

# Of the thread or task in which a console is running right now.
_stream: ContextVar[HTMLStringO | None] = ContextVar("carboy.debugger.stream")
_ipy: ContextVar[_InteractiveConsole] = ContextVar("carboy.debugger.console")


class HTMLStringO:
    """A file of text that escapes what is written to it."""

    def __init__(self) -> None:
        self._buffer: list[str] = []

    def isatty(self) -> bool:
        """False."""
        return False

    def close(self) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def seek(self, n: int, mode: int = 0) -> None:
        """Nothing."""

    def readline(self) -> str:
        """The first piece that was written; "" when there is none."""
        return self._buffer.pop(0) if self._buffer else ""

    def reset(self) -> str:
        """All that was written, which is then forgotten."""
        text = "".join(self._buffer)
        self._buffer.clear()
        return text

    def _write(self, x: str) -> None:
        self._buffer.append(x)

    def write(self, x: str) -> int:
        """Text, escaped."""
        self._write(str(escape(x)))
        return len(x)

    def writelines(self, x: Iterable[str]) -> None:
        """Several texts, escaped."""
        self._write(str(escape("".join(x))))


class ThreadedStream:
    """Stands for sys.stdout: in a console it is the console's, elsewhere what it was before."""

    @staticmethod
    def push() -> None:
        """Begin to collect, in this thread."""
        if not isinstance(sys.stdout, ThreadedStream):
            sys.stdout = ThreadedStream()
        sys.displayhook = ThreadedStream.displayhook
        _stream.set(HTMLStringO())

    @staticmethod
    def fetch() -> str:
        """What was collected since."""
        stream = _stream.get(None)
        return "" if stream is None else stream.reset()

    @staticmethod
    def displayhook(obj: object) -> None:
        """Show the value of an expression in a console, and keep it as `_`."""
        stream = _stream.get(None)
        if stream is None:
            _displayhook(obj)
        elif obj is not None:
            _ipy.get().locals["_"] = obj
            stream._write(debug_repr(obj))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"The attribute {name!r} of a stream of threads cannot be set.")

    def __dir__(self) -> list[str]:
        return dir(sys.__stdout__)

    def __getattribute__(self, name: str) -> Any:
        stream: Any = _stream.get(None) or _outside.stdout
        return getattr(stream, name)

    def __repr__(self) -> str:
        return repr(_outside.stdout)


_displayhook = sys.displayhook


class _Outside:
    """What belongs to everybody else while consoles run, in however many threads."""

    def __init__(self) -> None:
        self.stdout = sys.stdout
        self._displayhook = sys.displayhook
        self._inside = 0
        self._lock = Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self.stdout, self._displayhook = sys.stdout, sys.displayhook
                sys.displayhook = ThreadedStream.displayhook
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.stdout, sys.displayhook = self.stdout, self._displayhook
        _stream.set(None)


_outside = _Outside()


class _ConsoleLoader:
    """Source of what was typed, so that tracebacks can show it."""

    def __init__(self) -> None:
        self._sources: dict[int, str] = {}

    def register(self, code: CodeType, source: str) -> None:
        """Remember the source of a code object and of those inside it."""
        self._sources[id(code)] = source
        for each in code.co_consts:
            if isinstance(each, CodeType):
                self._sources[id(each)] = source

    def get_source_by_code(self, code: CodeType) -> str | None:
        """The source, if it was typed here."""
        return self._sources.get(id(code))


class _InteractiveConsole(code.InteractiveInterpreter):
    locals: dict[str, Any]

    def __init__(self, globals: dict[str, Any], locals: dict[str, Any]) -> None:
        self.loader = _ConsoleLoader()
        names = {**globals, **locals, "dump": dump, "help": helper, "__loader__": self.loader}
        super().__init__(names)
        self.more = False
        self.buffer: list[str] = []
        compiled = self.compile

        def remembering(source: str, filename: str, symbol: str) -> CodeType | None:
            made = compiled(source, filename, symbol)
            if made is not None:
                self.loader.register(made, source)
            return made

        self.compile = remembering  # type: ignore[assignment]

    def runsource(self, source: str, **kwargs: Any) -> str:  # type: ignore[override]
        """Run a line; gives prompt, input and output as HTML."""
        source = f"{source.rstrip()}\n"
        prompt = "... " if self.more else ">>> "
        ThreadedStream.push()
        try:
            whole = "".join([*self.buffer, source])
            self.more = super().runsource(whole, "<debugger>", "single")
            if self.more:
                self.buffer.append(source)
            else:
                self.buffer.clear()
        finally:
            output = ThreadedStream.fetch()
        return f"{prompt}{escape(source)}{output}"

    def runcode(self, code: CodeType) -> None:
        """Run what was compiled; SystemExit and the like go on to the caller."""
        try:
            exec(code, self.locals)
        except Exception:
            self.showtraceback()

    # How an exception looks: (the exception, frames of ours to leave out) to HTML. Tracebacks
    # have consoles, so that module sets it.
    render_error: Callable[[BaseException, int], str] | None = None

    def showtraceback(self, **kwargs: Any) -> None:
        """Show the exception that is being handled."""
        self._show(sys.exception(), 1)

    def showsyntaxerror(self, filename: str | None = None, **kwargs: Any) -> None:
        """Show that the input is no Python."""
        self._show(sys.exception(), sys.maxsize)  # the frames are all the compiler's

    def _show(self, error: BaseException | None, skip: int) -> None:
        render = type(self).render_error
        assert error is not None
        shown = str(escape(repr(error))) if render is None else render(error, skip)
        sys.stdout._write(shown)  # type: ignore[union-attr]

    def write(self, data: str) -> None:
        """Text of the interpreter itself."""
        sys.stdout.write(data)


class Console:
    """A console with names of its own, which lives from one line to the next."""

    def __init__(
        self, globals: dict[str, Any] | None = None, locals: dict[str, Any] | None = None
    ) -> None:
        self._ipy = _InteractiveConsole(globals or {}, locals or {})
        self._lock = Lock()  # lines of two requests must not run through each other

    @property
    def names(self) -> dict[str, Any]:
        """The names that the console knows."""
        return self._ipy.locals

    def eval(self, code: str) -> str:
        """Run one line of input; the transcript as HTML."""
        _ipy.set(self._ipy)
        with self._lock, _outside:
            return self._ipy.runsource(code)
