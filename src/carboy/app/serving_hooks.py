"""Functions that run once a worker: before its first request, and after its last one.

The names and their order are Quart's. The functions of `before_serving` run first, then the
generators of `while_serving` up to their `yield`. At the end, the generators run to their end, the
last one first, and then the functions of `after_serving`. All run within an application context and
as one task on the worker's event loop; plain functions and generators run in a thread, because they
may wait.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from carboy.app.intervals import seconds_of
from carboy.app.plan import is_coroutine_function, is_generator_function
from carboy.app.registry import setupmethod
from carboy.http.properties import cached_property

if TYPE_CHECKING:
    from carboy.testing import TestApp

F = TypeVar("F", bound=Callable[..., Any])
ASGI = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]


class ReadyCheck:
    """A check of `@app.ready`."""

    __slots__ = ("call", "name", "timeout")

    def __init__(self, name: str, timeout: float, call: Callable[[], Any]) -> None:
        self.name = name
        self.timeout = timeout  # seconds
        self.call = call


class ServingHooks:
    """Methods of the application."""

    _lifetime: Lifetime | None = None
    without_jobs = False  # set by a test: the jobs of `every` do not run
    _got_first_request: bool

    @cached_property
    def before_serving_funcs(self) -> list[Callable[[], Any]]:
        """The functions that run before a worker serves."""
        return []

    @cached_property
    def while_serving_gens(self) -> list[Callable[[], Any]]:
        """The generator functions that run around the time in which a worker serves."""
        return []

    @cached_property
    def after_serving_funcs(self) -> list[Callable[[], Any]]:
        """The functions that run after a worker has served."""
        return []

    @setupmethod
    def before_serving(self, f: F) -> F:
        """Call `f()` once in each worker before it serves. An error stops the worker's start."""
        self.before_serving_funcs.append(f)
        return f

    @setupmethod
    def while_serving(self, f: F) -> F:
        """Run the generator `f()` in each worker up to its `yield`, and the rest at the end."""
        self.while_serving_gens.append(checked_generator(f))
        return f

    @setupmethod
    def after_serving(self, f: F) -> F:
        """Call `f()` once in each worker after its last request."""
        self.after_serving_funcs.append(f)
        return f

    @cached_property
    def ready_check_funcs(self) -> list[ReadyCheck]:
        """The checks of `@app.ready`."""
        return []

    @overload
    def ready(self, f: F) -> F: ...

    @overload
    def ready(self, f: None = None, *, timeout: float = 5.0) -> Callable[[F], F]: ...

    @setupmethod
    def ready(self, f: F | None = None, *, timeout: float = 5.0) -> F | Callable[[F], F]:
        """Have `f()` say whether a worker is ready for requests: `@app.ready`.

        It says no by an exception, by False, or by a text that says why. The server calls it every
        two seconds on a thread of its own, within an application context. A call that takes longer
        than `timeout` seconds counts as no.
        """
        if not timeout > 0:
            raise ValueError(f"The timeout must be a positive number of seconds, not {timeout!r}.")

        def add(f: F) -> F:
            self.ready_check_funcs.append(ReadyCheck(getattr(f, "__name__", _name(f)), timeout, f))
            return f

        return add if f is None else add(f)

    def direct_ready_checks(self) -> list[tuple[str, float, Callable[[], Any]]]:
        """Name, time limit and function of each check, for a server."""
        return [
            (each.name, each.timeout, self._in_context(each.call))
            for each in self.ready_check_funcs
        ]

    def direct_lane(self) -> Callable[[Any], Any]:
        """A function that finds the compiled lane, which a server calls with the last result.

        Loads what later requests may need.
        """
        from carboy.app import request_modules
        from carboy.app.lane import lane_of

        app: Any = self
        request_modules.load(signing=bool(app.secret_key))

        return partial(lane_of, self)

    def _in_context(self, f: Callable[[], Any]) -> Callable[[], Any]:
        app: Any = self

        def call() -> Any:
            with app.app_context():
                return app.ensure_sync(f)()

        return call

    @cached_property
    def every_jobs(self) -> list[tuple[Callable[[], Any], float, bool]]:
        """The functions that run at intervals, with seconds and whether they run at the start."""
        return []

    @setupmethod
    def every(
        self, interval: float | str | timedelta, *, at_start: bool = False
    ) -> Callable[[F], F]:
        """Call the decorated function at intervals, in one worker of the machine at a time.

        `interval` is a number of seconds, a text such as "5m", or a timedelta. The first call is
        one interval after the first start of the server, or `at_start`. Raises ValueError.
        """
        seconds = seconds_of(interval)

        def decorator(f: F) -> F:
            self.every_jobs.append((f, seconds, at_start))
            return f

        return decorator

    async def startup(self) -> None:
        """Run what comes before serving. Servers do this; call it under other servers."""
        self._lifetime = lifetime = Lifetime(self)
        await lifetime.start()

    async def shutdown(self) -> None:
        """Run what comes after serving; raises the first error when everything has run."""
        lifetime, self._lifetime = self._lifetime, None
        if lifetime is not None:
            await lifetime.stop()

    def direct_lifespan(self) -> ASGI | None:
        """The ASGI lifespan of this application, for a server; None if it has no such functions."""
        hooks = self.before_serving_funcs or self.while_serving_gens or self.after_serving_funcs
        if hooks or self.every_jobs:
            return Lifetime(self).lifespan
        return None

    def test_app(self) -> TestApp:
        """The application as it is while a worker serves: `with app.test_app() as test_app:`."""
        from carboy.testing import TestApp

        return TestApp(self)


class Lifetime:
    """One time in which an application is served."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._running: list[AsyncGenerator[Any, None] | Generator[Any, None, None]] = []

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI lifespan protocol."""
        await receive()
        await self.start()
        if self._app.every_jobs and not self._app.without_jobs:
            from carboy.app.timetable import Timetable

            Timetable(self._app, self._app.every_jobs).start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def start(self) -> None:
        """Run everything up to the first request. Generators are closed if something fails."""
        try:
            for function in self._app.before_serving_funcs:
                await self._call(function)
            for function in self._app.while_serving_gens:
                running = function()
                self._running.append(running)
                if not await self._advance(running):
                    raise RuntimeError(f"{_name(function)} has ended without a yield. Add one.")
        except BaseException:
            for running in reversed(self._running):
                await self._close(running)
            raise

    async def stop(self) -> None:
        """Run everything after the last request; raises the first error at the end."""
        error: Exception | None = None
        ends: list[Callable[[], Any]] = []
        for running in reversed(self._running):
            ends.append(lambda running=running: self._finish(running))  # type: ignore[misc]
        for function in self._app.after_serving_funcs:
            ends.append(lambda function=function: self._call(function))  # type: ignore[misc]
        for end in ends:
            try:
                await end()
            except Exception as raised:
                if error is None:
                    error = raised
                else:
                    self._app.logger.error("A function after serving failed.", exc_info=raised)
        if error is not None:
            raise error

    async def _call(self, function: Callable[[], Any]) -> None:
        with self._app.app_context():
            if is_coroutine_function(function):
                await function()
            else:
                await _in_thread(function)

    async def _advance(self, running: Any) -> bool:
        """Run a generator to its next yield; returns whether there is one."""
        end = object()
        with self._app.app_context():
            if hasattr(running, "__anext__"):
                return await anext(running, end) is not end
            return await _in_thread(next, running, end) is not end

    async def _finish(self, running: Any) -> None:
        if await self._advance(running):
            await self._close(running)
            raise RuntimeError(
                f"{running.__qualname__} has a second yield. A generator of while_serving has one."
            )

    async def _close(self, running: Any) -> None:
        if hasattr(running, "aclose"):
            await running.aclose()
        else:
            await _in_thread(running.close)


async def _in_thread(function: Callable[..., Any], *args: Any) -> Any:
    import asyncio

    return await asyncio.to_thread(function, *args)


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", function))


def checked_generator(function: F) -> F:
    """A function of `while_serving`; raises TypeError unless it is a generator function."""
    if not is_generator_function(function):
        raise TypeError(
            f"A generator function is needed for while_serving, and {_name(function)} is not one."
            " Use a yield between what comes before and what comes after serving."
        )
    return function
