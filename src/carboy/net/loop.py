"""The event loop of a worker: asyncio's or uvloop's, in a thread of its own.

It starts when it is first used. Other threads hand calls over with `call`:

    other thread   appends to `_calls`, then wakes the loop if `_woken` is False
    the loop       sets `_woken` to False, then runs what is in `_calls`

So a call is run by the wake-up that its thread has made, or by an earlier one that has not begun
to look. Each step is one operation on a deque or an attribute.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from threading import get_ident
from typing import Any

from carboy.net.loop_watch import LoopWatch
from carboy.net.threads import NoThread, start_thread
from carboy.net.worker_loop import resolved

log = logging.getLogger("carboy.error")

JOIN = 1.0  # seconds for the loop's thread to end


class Loop:
    """One event loop. Only its thread runs coroutines and callbacks."""

    def __init__(self, kind: str = "auto") -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._woken = False
        self._ident = 0  # of the thread
        self._stopped = False
        self._first_step: Callable[[], object] = list  # of the task that is being made
        self.watch = LoopWatch(self)
        self._requests: set[asyncio.Task[Any]] = set()

    def start(self) -> asyncio.AbstractEventLoop:
        """The running loop, which the first call starts.

        Raises ValueError without uvloop, and NoThread.
        """
        loop = self._loop
        if loop is not None:
            return loop
        with self._lock:
            if self._loop is None:
                loop = make_loop(self._kind)
                # A daemon, because a coroutine that never ends must not keep the process alive.
                self._thread = threading.Thread(
                    target=_run, args=(loop,), name="carboy-loop", daemon=True
                )
                try:
                    start_thread(self._thread)
                except NoThread:
                    self._thread = None
                    loop.close()
                    raise
                self._ident = self._thread.ident or 0
                self._loop = loop
            return self._loop

    @property
    def thread_id(self) -> int:
        """The identifier of the loop's thread; 0 before it runs."""
        return 0 if self._thread is None else self._thread.ident or 0

    @property
    def running(self) -> bool:
        """Whether the loop's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def is_current(self) -> bool:
        """Whether the calling thread is the loop's."""
        return get_ident() == self._ident

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Have the loop call a function soon; from any thread. Calls keep their order.

        Calls after `stop` do not run. Raises NoThread as `start` does; then the call does not run.
        """
        call = function, args
        self._calls.append(call)
        if not self._woken:
            self._woken = True
            try:
                self.wake(self._run_calls)
            except BaseException:
                self._woken = False  # the next call tries again
                with suppress(ValueError):
                    self._calls.remove(call)
                raise

    def hand_over(self, function: Callable[..., object], *args: Any) -> None:
        """Have the loop call a function: at once on its thread, and else soon."""
        if get_ident() == self._ident and not self._calls:
            try:
                function(*args)
            except Exception:
                log.exception("A call on the event loop failed.")
        else:
            self.call(function, *args)

    def wake(self, function: Callable[[], object]) -> None:
        """Have the loop call a function soon, without an order among other calls."""
        try:
            self.start().call_soon_threadsafe(function)
        except RuntimeError:
            if not self._stopped:
                raise

    def _run_calls(self) -> None:
        self._woken = False
        calls = self._calls
        for _ in range(len(calls)):
            function, args = calls.popleft()
            try:
                function(*args)
            except Exception:
                log.exception("A call on the event loop failed.")
        if calls and not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._run_calls)

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop; the result comes with the future."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.start())

    def run_now(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> asyncio.Task[Any]:
        """Run a coroutine as a task, which makes its first step before this returns.

        Called on the loop's thread, in `context`, and by no task. A new task asks its loop to call
        its first step soon. Here this request is caught and the step is called instead, which is
        what `eager_start` of Python 3.12 does; that one cannot run in a context that is entered.
        """
        loop: Any = self._loop
        if loop.get_task_factory() is not None:
            return loop.create_task(coroutine, context=context)  # type: ignore[no-any-return]
        loop.call_soon = self._catch_step
        try:
            task = asyncio.Task(coroutine, loop=loop, context=context)
        finally:
            del loop.call_soon
        step, self._first_step = self._first_step, list  # the task must not be kept alive
        step()
        return task

    def _catch_step(self, step: Callable[[], object], context: Context) -> None:
        self._first_step = step

    def run_request(
        self, coroutine: Coroutine[Any, Any, Any], context: Context
    ) -> asyncio.Task[Any]:
        """Run a coroutine of a request as a task, which `end_requests` waits for; on the loop."""
        task = asyncio.get_running_loop().create_task(coroutine, context=context)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)
        return task

    def end_requests(self, seconds: float) -> None:
        """Wait for the tasks of requests, and cancel those that take longer than `seconds`."""
        try:
            self.submit(_end(self._requests, seconds)).result(seconds + JOIN)
        except (TimeoutError, RuntimeError):
            log.warning("Coroutines of requests did not end within %.1f s.", seconds)

    def stop(self, seconds: float) -> None:
        """Cancel what still runs, and end the loop and its thread, within `seconds` if it can."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or self._stopped:
            return
        self._stopped = True
        until = time.monotonic() + seconds
        ended: Future[None] = Future()

        def begin() -> None:  # the coroutine is made here, so that none is left if this never runs
            task = loop.create_task(_wind_up())
            task.add_done_callback(lambda _: ended.set_result(None))

        try:
            loop.call_soon_threadsafe(begin)
            ended.result(seconds)
        except TimeoutError:
            log.warning("The event loop did not end within %.1f s.", seconds)
        except RuntimeError:
            pass  # a coroutine has stopped the loop, and its thread has closed it
        with suppress(RuntimeError):  # the same
            loop.call_soon_threadsafe(loop.stop)
        thread.join(max(0.0, until - time.monotonic()) + JOIN)


def make_loop(kind: str) -> asyncio.AbstractEventLoop:
    """A loop of this kind; "auto" is uvloop if it is installed. Raises ValueError without it."""
    if resolved(kind) == "asyncio":
        return asyncio.new_event_loop()
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        while not _run_until_stopped(loop):
            pass
        _cancel_rest(loop)
    finally:
        loop.close()


def _run_until_stopped(loop: asyncio.AbstractEventLoop) -> bool:
    """Run the loop; False if a task has raised an exception that ends the loop."""
    try:
        loop.run_forever()
    except (SystemExit, KeyboardInterrupt) as error:
        # A task of the application has called sys.exit(): other requests are still served.
        log.critical("A task has tried to end the event loop.", exc_info=error)
        return False
    return True


def _cancel_rest(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the tasks of a loop that was stopped while a coroutine kept it from running."""
    if tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=JOIN))


async def _end(tasks: set[asyncio.Task[Any]], seconds: float) -> None:
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()


async def _wind_up() -> None:
    """Cancel all other tasks, and close what the loop has open."""
    own = asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks() if task is not own]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
