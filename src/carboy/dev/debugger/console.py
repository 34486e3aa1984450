"""A Python console with input from HTTP requests and HTML output."""

from __future__ import annotations

import code
import ctypes
import sys
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from rlcompleter import Completer
from threading import Lock, get_ident
from types import CodeType
from typing import Any

from markupsafe import escape

from carboy.dev.debugger.repr import debug_repr, dump, helper

__all__ = ["Console", "HTMLStringO", "ThreadedStream"]

RESEND = 1.0  # seconds until code that has caught its KeyboardInterrupt can be sent another

# For the thread or task that is running code in a console.
_stream: ContextVar[HTMLStringO | None] = ContextVar("carboy.debugger.stream")
_ipy: ContextVar[_InteractiveConsole] = ContextVar("carboy.debugger.console")


class HTMLStringO:
    """A text file that escapes what is written to it."""

    def __init__(self) -> None:
        self._buffer: list[str] = []

    def isatty(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""

    def seek(self, n: int, mode: int = 0) -> None:
        """Do nothing."""

    def readline(self) -> str:
        """Remove and return the first piece that was written, or ""."""
        return self._buffer.pop(0) if self._buffer else ""

    def reset(self) -> str:
        """Remove and return all that was written."""
        text = "".join(self._buffer)
        self._buffer.clear()
        return text

    def _write(self, x: str) -> None:
        self._buffer.append(x)

    def write(self, x: str) -> int:
        """Write text, escaped."""
        self._write(str(escape(x)))
        return len(x)

    def writelines(self, x: Iterable[str]) -> None:
        """Write several texts, escaped."""
        self._write(str(escape("".join(x))))


class ThreadedStream:
    """Replaces sys.stdout: code in a console writes to the console, other code as before."""

    @staticmethod
    def push() -> None:
        """Start collecting output, in this thread or task."""
        if not isinstance(sys.stdout, ThreadedStream):
            sys.stdout = ThreadedStream()
        sys.displayhook = ThreadedStream.displayhook
        _stream.set(HTMLStringO())

    @staticmethod
    def fetch() -> str:
        """The output that was collected."""
        stream = _stream.get(None)
        return "" if stream is None else stream.reset()

    @staticmethod
    def displayhook(obj: object) -> None:
        """Show the value of an expression in a console, and store it as `_`."""
        stream = _stream.get(None)
        if stream is None:
            _displayhook(obj)
        elif obj is not None:
            _ipy.get().locals["_"] = obj
            stream._write(debug_repr(obj))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"The attribute {name!r} of a ThreadedStream cannot be set.")

    def __dir__(self) -> list[str]:
        return dir(sys.__stdout__)

    def __getattribute__(self, name: str) -> Any:
        stream: Any = _stream.get(None) or _outside.stdout
        return getattr(stream, name)

    def __repr__(self) -> str:
        return repr(_outside.stdout)


_displayhook = sys.displayhook


class _Outside:
    """sys.stdout and sys.displayhook for the code outside of consoles, while consoles run."""

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
    """The source code that was typed, for tracebacks."""

    def __init__(self) -> None:
        self._sources: dict[int, str] = {}

    def register(self, code: CodeType, source: str) -> None:
        """Store the source of a code object and of the code objects inside it."""
        self._sources[id(code)] = source
        for each in code.co_consts:
            if isinstance(each, CodeType):
                self._sources[id(each)] = source

    def get_source_by_code(self, code: CodeType) -> str | None:
        """The source of code that was typed in this console, or None."""
        return self._sources.get(id(code))


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread when it next runs Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


class _Run:
    """The thread that runs code, if any. Another thread can stop it with KeyboardInterrupt.

    The lock is held while the exception is sent, so that it reaches the code only: an exception
    that has not been raised yet is raised inside `end`, which is then called again. No second
    exception is sent within that time.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._thread: int | None = None
        self._sent = -RESEND  # when the exception was sent; negative: it was not

    def begin(self) -> None:
        """This thread runs code from now on."""
        self._sent = -RESEND
        self._thread = get_ident()

    def stop(self) -> bool:
        """Stop the code that runs. Returns whether there was any."""
        with self._lock:
            if self._thread is not None and time.monotonic() - self._sent >= RESEND:
                self._sent = time.monotonic()
                _raise_in(self._thread, KeyboardInterrupt)
            return self._thread is not None

    def end(self) -> None:
        """The code has ended. Raises KeyboardInterrupt if it was sent and not raised yet."""
        with self._lock:
            self._thread = None
            sent, self._sent = self._sent, -RESEND
        if sent >= 0:
            # Not taken back: Python 3.11 would look for it again in every later call, in vain.
            for _ in range(100):
                pass


class _Completer(Completer):
    """Completes names of values whose attributes may raise any exception."""

    def _callable_postfix(self, val: Any, word: str) -> str:
        try:
            return super()._callable_postfix(val, word)  # type: ignore[misc,no-any-return]
        except Exception:  # a proxy outside of its context, for example
            return word


class _InteractiveConsole(code.InteractiveInterpreter):
    locals: dict[str, Any]

    def __init__(self, globals: dict[str, Any], locals: dict[str, Any]) -> None:
        self.loader = _ConsoleLoader()
        names = {**globals, **locals, "dump": dump, "help": helper, "__loader__": self.loader}
        super().__init__(names)
        self.run = _Run()
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
        """Run a line and return prompt, input and output as HTML."""
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
        """Run compiled code. SystemExit and the like are raised to the caller."""
        try:
            try:
                self.run.begin()
                exec(code, self.locals)
            finally:
                self.run.end()
        except (Exception, KeyboardInterrupt):
            self.run.end()
            self.showtraceback()

    # Makes HTML of an exception, without its first frames. Set by `tbtools`, which cannot be
    # imported here, because the frames of a traceback have consoles.
    render_error: Callable[[BaseException, int], str] | None = None

    def showtraceback(self, **kwargs: Any) -> None:
        """Show the current exception."""
        self._show(sys.exception(), 1)

    def showsyntaxerror(self, filename: str | None = None, **kwargs: Any) -> None:
        """Show that the input is not valid Python."""
        self._show(sys.exception(), sys.maxsize)  # all frames are the compiler's

    def _show(self, error: BaseException | None, skip: int) -> None:
        render = type(self).render_error
        assert error is not None
        shown = str(escape(repr(error))) if render is None else render(error, skip)
        sys.stdout._write(shown)  # type: ignore[union-attr]

    def write(self, data: str) -> None:
        """Write a message of the interpreter."""
        sys.stdout.write(data)


class Console:
    """A console that keeps its names from line to line."""

    def __init__(
        self, globals: dict[str, Any] | None = None, locals: dict[str, Any] | None = None
    ) -> None:
        self._ipy = _InteractiveConsole(globals or {}, locals or {})
        self._lock = Lock()  # only one line runs at a time

    @property
    def names(self) -> dict[str, Any]:
        """The names in the console."""
        return self._ipy.locals

    def eval(self, code: str) -> str:
        """Run one line of input and return the transcript as HTML."""
        _ipy.set(self._ipy)
        with self._lock, _outside:
            return self._ipy.runsource(code)

    def stop(self) -> bool:
        """Stop the code that runs, in another thread. Returns whether there was any."""
        return self._ipy.run.stop()

    def completions(self, text: str) -> list[str]:
        """Completions of a name or of an attribute; [] if it cannot be evaluated."""
        completer = _Completer(self.names)
        try:
            found = [completer.complete(text, state) for state in range(50)]
        except Exception:  # raised by an attribute
            return []
        return sorted({name for name in found if name is not None})
