"""Stops code that runs in a console, from the thread of another request.

the code runs in a thread      KeyboardInterrupt is raised there, before its next instruction
it waits in a C function       the same, when that function returns
it awaits                      its task is cancelled
it waits for another console   the wait ends
"""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock, get_ident
from typing import Any

from carboy.thread_frames import thread_frames

RESEND = 1.0  # seconds until code that has caught its KeyboardInterrupt can be sent another
LOOK = 0.1  # seconds between two looks of code that waits


class Stopped(Exception):
    """Code that waits was stopped."""


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread when it next runs Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


class Run:
    """The thread that runs the code of a console, if any. Another thread can stop the code.

    The lock is held while the exception is sent, so that it reaches the code only: an exception
    that has not been raised yet is raised inside `end`, which is then called again. No second
    exception is sent within that time.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._thread: int | None = None
        self._sent = -RESEND  # when the exception was sent; negative: it was not
        self._waiting = 0  # threads and coroutines that look at `_asked`
        self._asked = False  # to stop what waits

    def begin(self) -> None:
        """This thread runs code from now on."""
        self._sent = -RESEND
        self._thread = get_ident()

    def stop(self) -> bool:
        """Stop the code that runs or waits. Returns whether there was any."""
        with self._lock:
            if self._thread is not None and time.monotonic() - self._sent >= RESEND:
                self._sent = time.monotonic()
                _raise_in(self._thread, KeyboardInterrupt)
            self._asked = self._waiting > 0
            return self._thread is not None or self._asked

    def place(self) -> str:
        """The function and line in which the code is; "" if it does not run."""
        frame = thread_frames().get(self._thread or 0)
        if frame is None:
            return ""
        return f"{frame.f_code.co_name}, line {frame.f_lineno} of {frame.f_code.co_filename}"

    def end(self) -> None:
        """The code has ended. Raises KeyboardInterrupt if it was sent and not raised yet."""
        with self._lock:
            self._thread = None
            sent, self._sent = self._sent, -RESEND
        if sent >= 0:
            # Not taken back: Python 3.11 would look for it again in every later call, in vain.
            for _ in range(100):
                pass

    # --- code that waits

    @contextmanager
    def held(self, lock: Lock) -> Iterator[None]:
        """Hold a lock that another console may have for long. Raises Stopped instead of waiting."""
        with self._looking():
            while not lock.acquire(timeout=LOOK):
                self._look()
        try:
            yield
        finally:
            lock.release()

    async def awaited(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine. Raises Stopped if it was stopped."""
        task = asyncio.ensure_future(_Steps(work, self).all())
        with self._looking():
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK)
                try:
                    self._look()
                except Stopped:
                    task.cancel()
                    await asyncio.wait({task}, timeout=LOOK)
                    raise
        return task.result()

    @contextmanager
    def _looking(self) -> Iterator[None]:
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                if not self._waiting:
                    self._asked = False

    def _look(self) -> None:
        if self._asked:
            raise Stopped


class _Steps:
    """A coroutine that can be stopped while it computes, in the thread of its event loop.

    A KeyboardInterrupt is replaced by Stopped, because it would end the event loop.
    """

    def __init__(self, work: Coroutine[Any, Any, Any], run: Run) -> None:
        self._work = work
        self._run = run

    async def all(self) -> Any:
        return await self

    def __await__(self) -> Generator[Any, Any, Any]:
        step = partial(self._work.send, None)
        while True:
            try:
                pause = self._interruptible(step)
            except StopIteration as done:
                return done.value
            try:
                yield pause
                step = partial(self._work.send, None)
            except BaseException as error:
                step = partial(self._work.throw, error)

    def _interruptible(self, step: partial[Any]) -> Any:
        try:
            try:
                self._run.begin()
                return step()
            finally:
                self._run.end()
        except KeyboardInterrupt:
            self._run.end()
            raise Stopped from None


def run_alone(run: Run, work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine on an event loop of its own."""
    return asyncio.run(run.awaited(work))
