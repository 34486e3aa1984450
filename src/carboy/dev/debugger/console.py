"""A Python console with input from HTTP requests and HTML output."""

from __future__ import annotations

import ast
import asyncio
import code
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from inspect import CO_COROUTINE
from threading import Lock, Timer
from types import CodeType
from typing import Any

from markupsafe import escape

from carboy.dev.debugger.completion import Completion, completion
from carboy.dev.debugger.contexts import Contexts
from carboy.dev.debugger.repr import DebugReprGenerator, debug_repr, dump, helper
from carboy.dev.debugger.stopping import Run, Stopped

__all__ = ["Console", "HTMLStringO", "ThreadedStream"]

OUTPUT_MOST = 100_000  # characters that are shown of the output of one line of input
PATIENCE = 2.0  # seconds that a completion may take
BRIEFLY = 0.2  # seconds that a completion waits for the contexts
TYPED = "<debugger>"  # the file name of code that was typed

# For the thread or task that is running code in a console.
_stream: ContextVar[HTMLStringO | None] = ContextVar("carboy.debugger.stream")
_ipy: ContextVar[_InteractiveConsole] = ContextVar("carboy.debugger.console")


class HTMLStringO:
    """A text file that escapes what is written to it."""

    def __init__(self) -> None:
        self._buffer: list[str] = []
        self._space = OUTPUT_MOST
        self._left_out = 0

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
        if self._left_out:
            self.begin_line()
        text = "".join(self._buffer)
        self._buffer.clear()
        self._space = OUTPUT_MOST
        return text

    def begin_line(self) -> None:
        """End the last line if something was written to it, and say how much was left out."""
        if self._left_out:
            self._write(f'\n<span class="help">… {self._left_out:,} more characters</span>\n')
            self._left_out = 0
        if self._buffer and not self._buffer[-1].endswith("\n"):
            self._write("\n")

    def _write(self, x: str) -> None:
        self._buffer.append(x)

    def write(self, x: str) -> int:
        """Write text, escaped."""
        shown = x[: self._space]
        self._space -= len(shown)
        self._left_out += len(x) - len(shown)
        self._write(str(escape(shown)))
        return len(x)

    def writelines(self, x: Iterable[str]) -> None:
        """Write several texts, escaped."""
        self.write("".join(x))


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
            if not _ipy.get().keeps_underscore:
                _ipy.get().locals["_"] = obj
            stream.begin_line()
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


class _NotHere:
    """Replaces a function of Python that would harm the server. Calling it says what to do."""

    def __init__(self, name: str, error: type[Exception], text: str) -> None:
        self._name = name
        self._error = error
        self._text = text

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        __traceback_hide__ = True
        raise self._error(self._text)

    def __repr__(self) -> str:
        return f"<{self._name}: {self._text}>"


LEAVE = "The console cannot end the server. Press Esc to leave the console."
READ = "The console has no input to read. Assign a value instead."
# Names of every console, unless its frame has such names itself. Python's `exit` would close
# standard input, and its `input` would wait for the terminal.
OWN = {
    "dump": dump,
    "help": helper,
    "exit": _NotHere("exit", RuntimeError, LEAVE),
    "quit": _NotHere("quit", RuntimeError, LEAVE),
    "input": _NotHere("input", EOFError, READ),
}


class _InteractiveConsole(code.InteractiveInterpreter):
    locals: dict[str, Any]

    def __init__(self, globals: dict[str, Any], locals: dict[str, Any]) -> None:
        self.loader = _ConsoleLoader()
        super().__init__({**OWN, **globals, **locals, "__loader__": self.loader})
        self.run = Run()
        self.contexts = Contexts()
        self.keeps_underscore = "_" in self.locals  # gettext, for example
        self.more = False
        self.buffer: list[str] = []
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._compiled = self.compile
        self.compile = self._compile  # type: ignore[assignment]

    def _compile(self, source: str, filename: str, symbol: str) -> CodeType | None:
        """The code of some input; None if it is not complete."""
        made: CodeType | None = None
        valid = False
        with suppress(SyntaxError):
            made = self._compiled(source, filename, symbol)
            valid = True
        # Several statements, input that is not complete, or the same error again.
        if not valid and self._compiled(source, filename, "exec") is not None:
            made = _each_shown(source, filename)
        if made is not None:
            self.loader.register(made, source)
        return made

    def runsource(self, source: str, **kwargs: Any) -> str:  # type: ignore[override]
        """Run a line and return prompt, input and output as HTML."""
        source = f"{source.rstrip()}\n"
        prompt = "... " if self.more else ">>> "
        ThreadedStream.push()
        try:
            whole = "".join([*self.buffer, source])
            self.more = False
            try:
                self.more = super().runsource(whole, TYPED, "single")
            except Exception as error:  # the input is nested too deeply to be compiled
                self._show(error)
            if self.more:
                self.buffer.append(source)
            else:
                self.buffer.clear()
        finally:
            output = ThreadedStream.fetch()
        return f"{prompt}{escape(source)}{output}"

    def runcode(self, code: CodeType) -> None:
        """Run compiled code, and show the exception that it raises."""
        if code.co_flags & CO_COROUTINE:
            self.guarded(lambda: self._await(code))
        else:
            self.guarded(lambda: self._execute(code))

    def guarded(self, work: Callable[[], object]) -> None:
        """Call a function, and show the exception that it raises."""
        try:
            work()
        except Stopped:
            self._show(KeyboardInterrupt())
        except BaseException as error:  # SystemExit as well: it would end the server's thread
            self.run.end()
            self._show(error)

    def _execute(self, code: CodeType) -> None:
        try:
            self.run.begin()
            exec(code, self.locals)
        finally:
            self.run.end()

    def _await(self, code: CodeType) -> None:
        """Run code with `await`, on the event loop of the application if it has one."""

        async def line() -> None:
            await self.run.awaited(eval(code, self.locals))

        ensure_sync = self.contexts.ensure_sync
        try:
            call = ensure_sync(line) if ensure_sync is not None else None
        except RuntimeError:  # Flask without asgiref
            call = None
        if call is not None:
            call()
        else:
            asyncio.run(line())

    # Makes HTML of an exception, without its first frames. Set by `tbtools`, which cannot be
    # imported here, because the frames of a traceback have consoles.
    render_error: Callable[[BaseException, int], str] | None = None

    def showtraceback(self, **kwargs: Any) -> None:
        """Show the current exception."""
        self._show(sys.exception() or RuntimeError("There is no exception."))

    def showsyntaxerror(self, filename: str | None = None, **kwargs: Any) -> None:
        """Show that the input is not valid Python."""
        self.showtraceback()

    def _show(self, error: BaseException) -> None:
        render = type(self).render_error
        made = repr(error) if render is None else render(error, _outer_frames(error))
        stream: Any = sys.stdout
        stream.begin_line()
        stream._write(made)

    def write(self, data: str) -> None:
        """Write a message of the interpreter."""
        sys.stdout.write(data)


def _each_shown(source: str, filename: str) -> CodeType:
    """Code of several statements, the values of which are shown as if each was typed alone."""
    body = ast.Interactive(ast.parse(source).body)
    made: CodeType = compile(body, filename, "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return made


def _outer_frames(error: BaseException) -> int:
    """The number of frames before that of the code that was typed; all if it is not among them."""
    names = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return names.index(TYPED) if TYPED in names else len(names)


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

    @property
    def contexts(self) -> Contexts:
        """The contexts in which code runs."""
        return self._ipy.contexts

    @contexts.setter
    def contexts(self, contexts: Contexts) -> None:
        self._ipy.contexts = contexts

    @property
    def is_open(self) -> bool:
        """Whether the input is not complete, so that another line belongs to it."""
        return self._ipy.more

    def eval(self, code: str) -> str:
        """Run one line of input and return the transcript as HTML."""
        _ipy.set(self._ipy)
        return self._inside(lambda: self._ipy.runsource(code)) or (
            f"&gt;&gt;&gt; {escape(code)}\n"
            "The code did not run, because code of another console of this request still runs."
        )

    def show(self, names: dict[str, Any]) -> str:
        """Names and their values as HTML."""
        shown: list[str] = []

        def show() -> None:
            try:
                self._ipy.run.begin()
                shown.append(DebugReprGenerator().dump_locals(names))
            finally:
                self._ipy.run.end()

        def output() -> str:
            ThreadedStream.push()
            try:
                self._ipy.guarded(show)
            finally:
                text = ThreadedStream.fetch()
            return shown[0] if shown else text

        return self._inside(output) or "Code of another console of this request still runs."

    def _inside(self, work: Callable[[], str]) -> str:
        """Call a function in the contexts; "" if it was stopped before it could begin."""
        run = self._ipy.run
        try:
            with (
                run.held(self._lock), run.held(self.contexts.lock),
                _outside, self.contexts.entered(),
            ):  # fmt: skip
                return work()
        except Stopped:
            return ""

    def stop(self) -> bool:
        """Stop the code that runs, in another thread; else forget incomplete input.

        Returns whether there was code to stop.
        """
        if self._ipy.run.stop():
            return True
        self._ipy.more = False
        self._ipy.buffer.clear()
        return False

    def place(self) -> str:
        """The function and line in which the code is; "" if it does not run."""
        return self._ipy.run.place()

    def completion(self, text: str) -> Completion:
        """Names and keys that complete `text`; none if finding them raises or takes long."""
        run = Run()
        timer = Timer(PATIENCE, run.stop)
        timer.start()
        lock = self.contexts.lock
        held = lock.acquire(timeout=BRIEFLY)  # not while another console runs code
        try:
            with self.contexts.entered() if held else nullcontext():
                try:
                    run.begin()
                    return completion(text, self.names)
                finally:
                    run.end()
        except (Exception, KeyboardInterrupt):
            run.end()
            return Completion()
        finally:
            timer.cancel()
            if held:
                lock.release()
