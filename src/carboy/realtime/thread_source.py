"""A plain iterator as an async iterator: a thread of its own makes its values.

    the loop      ──next──▶  `_asked`   the thread makes a value
    the loop      ◀─call───  `_settle`  with the value, the end or an error

To close the iterator while it makes a value, GeneratorExit is raised in its thread, as close()
raises it at a `yield`. The interpreter does that when the thread runs Python code: a call that
waits inside C (time.sleep, a lock, a socket) returns first. The exception must not reach other code
of the thread, so both sides take a token out of `_inside`, and exactly one of them gets it:

    the loop takes it     the thread is inside the iterator. Only then is the exception raised, and
                          `_raised` says that it has been. The thread does not leave `_value`
                          before that, and lets the exception come there if it has not come by then.
    the thread takes it   the value is complete, and no exception is raised

The thread takes the token after every end of `next`, even one by a GeneratorExit of the iterator
itself. Where the exception may come, `_value` uses C code only (a list, a SimpleQueue): a lock of
Python code that is interrupted after it was acquired is never released.

The count of threads and the sources that wait for one are touched with `_lock`, because a process
may have several loops. A place is free when its thread ends, even if its loop has ended before.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

log = logging.getLogger("carboy.error")

MOST = 1000  # threads of a process: each takes memory, and a system allows some thousands
WARN_EVERY = 60.0  # seconds between two lines in the log
END = 1.0  # seconds to wait for an iterator that is being closed

_lock = threading.Lock()
_threads = 0  # that run
_waiting: deque[asyncio.Future[None]] = deque()  # sources without a thread
_warn_at = 0.0


class ThreadSource:
    """An async iterator over the values of `iterator`. To be used on one event loop."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator
        self._asked: SimpleQueue[bool] = SimpleQueue()  # False: close the iterator
        self._inside: list[None] = []
        self._raised: SimpleQueue[None] = SimpleQueue()
        self._closing = False
        self._thread = 0  # its identifier
        # only for the loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._value_of: asyncio.Future[tuple[Any]] | None = None
        self._ended: asyncio.Future[None] | None = None

    def __aiter__(self) -> ThreadSource:
        return self

    async def __anext__(self) -> Any:
        """The next value; raises the iterator's error, or StopAsyncIteration at its end."""
        if self._loop is None:
            await self._start()
        assert self._loop is not None
        if self._ended is None or self._ended.done():
            raise StopAsyncIteration
        self._value_of = self._loop.create_future()
        self._asked.put(True)
        found = await self._value_of
        if not found:
            raise StopAsyncIteration
        return found[0]

    async def aclose(self) -> None:
        """Close the iterator. Returns after a second at most; the thread ends when it can."""
        if self._ended is None:
            if self._loop is None:
                _close(self._iterator)  # it has never run
            return
        # In this order: the thread goes inside before it looks, so it sees this or is interrupted.
        self._closing = True
        self._asked.put(False)
        self._interrupt()
        await asyncio.wait([self._ended], timeout=END)

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        await _take_place(loop)
        self._loop = loop
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(self._run,), name="carboy-stream", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            self._loop = None  # `aclose` closes the iterator
            _free_place()
            raise
        self._ended = loop.create_future()

    def _interrupt(self) -> None:
        try:
            self._inside.pop()
        except IndexError:
            return
        raise_in(self._thread, GeneratorExit)
        self._raised.put(None)

    def _settle(self, found: tuple[Any] | tuple[()], error: BaseException | None) -> None:
        if self._value_of is None or self._value_of.done():
            return
        if error is None:
            self._value_of.set_result(found)  # type: ignore[arg-type]
        else:
            self._value_of.set_exception(error)

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    # --- on the thread

    def _run(self) -> None:
        self._thread = threading.get_ident()
        try:
            while self._asked.get():
                found, error = self._value()
                self._post(self._settle, found, error)
                if not found:
                    break
        finally:
            try:
                _close(self._iterator)
            finally:
                _free_place()
                self._post(self._end)

    def _value(self) -> tuple[Any, BaseException | None]:
        """The next value in a tuple, () at the end; and an error."""
        found: tuple[Any] | tuple[()] = ()
        error: BaseException | None = None
        try:
            try:
                self._inside.append(None)
                if not self._closing:
                    found = (next(self._iterator),)
            except (StopIteration, GeneratorExit):
                pass
            except BaseException as raised:
                error = raised
            try:
                self._inside.pop()
            except IndexError:
                self._raised.get()
                # The exception comes in the first of these steps, unless it has come before.
                for _ in range(100):
                    pass
        except GeneratorExit:
            found = ()
        return found, error

    def _post(self, function: Any, *args: Any) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            pass  # the loop has ended


def raise_in(thread: int, kind: type[BaseException]) -> None:
    """Raise an exception in another thread when it next runs Python code."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


async def _take_place(loop: asyncio.AbstractEventLoop) -> None:
    """Wait until a further thread may run, and count it."""
    global _threads
    while True:
        with _lock:
            if _threads < MOST:
                _threads += 1
                return
            turn = loop.create_future()
            _waiting.append(turn)
        _warn()
        try:
            await turn
        except BaseException:
            with _lock:
                passed_on = turn not in _waiting
                if not passed_on:
                    _waiting.remove(turn)
            if passed_on:
                _next_turn()  # it was this one's turn, which it does not take
            raise


def _free_place() -> None:
    """A thread ends: another one may run. Called by any thread."""
    global _threads
    with _lock:
        _threads -= 1
    _next_turn()


def _next_turn() -> None:
    while True:
        with _lock:
            if not _waiting:
                return
            turn = _waiting.popleft()
        try:
            turn.get_loop().call_soon_threadsafe(_grant, turn)
            return
        except RuntimeError:
            pass  # the loop of that source has ended


def _grant(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _close(iterator: Iterator[Any]) -> None:
    close = getattr(iterator, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception:
        log.exception("Closing the iterator of a streamed response failed.")


def _warn() -> None:
    global _warn_at
    now = time.monotonic()
    if now >= _warn_at:
        _warn_at = now + WARN_EVERY
        log.warning(
            "%d plain iterators of streamed responses have a thread, and further ones wait."
            " Use async iterators, which need no thread.",
            _threads,
        )


def _forget() -> None:
    """In a forked child: the threads exist only in the parent."""
    global _lock, _threads
    _lock = threading.Lock()
    _threads = 0
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
