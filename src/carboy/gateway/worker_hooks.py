"""Functions of an application that run once a worker, around the time in which it is served.

A Carboy application says so with `direct_lifespan`: it returns an ASGI lifespan, or None if there
is nothing to run. The application may be inside WSGI middleware. Its coroutines run on a loop of
the kind that the server has chosen.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from carboy.gateway.interface import StartFailed
from carboy.net import worker_jobs, worker_loop

if TYPE_CHECKING:
    from carboy.gateway.lifespan import Lifespan

log = logging.getLogger("carboy.error")

LEAST = 1.0  # seconds for what runs at the end, however late the stop is
INNER = ("app", "wsgi_app", "application", "_app")  # names of what a middleware wraps
DEPTH = 32


class WorkerHooks:
    """The start and the end of `app`; `name` is its name in errors."""

    def __init__(self, app: Any, loop: str, name: str) -> None:
        self._app = app
        self._loop = loop
        self._name = name
        self._lifespan: Lifespan | None = None

    def start(self) -> None:
        """Run what comes before serving. Raises StartFailed."""
        try:
            self._loop = worker_loop.hold(self._loop)
        except ValueError as problem:
            raise StartFailed(str(problem)) from None
        lifespan = lifespan_of(self._app)
        if lifespan is None:
            return
        from carboy.gateway.lifespan import Lifespan

        self._lifespan = Lifespan(lifespan, worker_loop.worker_loop(self._loop), self._name)
        try:
            self._lifespan.start()
        except StartFailed:
            self._lifespan = None
            worker_loop.release(self._loop, LEAST)
            raise

    def stop(self, seconds: float) -> None:
        """Wait for coroutines of requests, run what comes after serving, and end the loop."""
        until = time.monotonic() + max(LEAST, seconds)
        if left := worker_jobs.jobs().drain(max(LEAST, seconds)):
            log.warning("Jobs did not end within %.1f s: %s.", seconds, ", ".join(left))
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            worker_loop.worker_loop(self._loop).end_requests(max(LEAST, seconds))
            lifespan.stop(max(LEAST, until - time.monotonic()))
        worker_loop.release(self._loop, max(LEAST, until - time.monotonic()))


def lifespan_of(app: Any) -> Any:
    """The ASGI lifespan of a Carboy application, which may be inside middleware; or None."""
    found = carboy_application(app)
    return None if found is None else found.direct_lifespan()


def ready_checks_of(app: Any) -> list[tuple[str, float, Callable[[], Any]]]:
    """Name, time limit and function of each `@app.ready` of a Carboy application."""
    found = carboy_application(app)
    return [] if found is None else list(found.direct_ready_checks())


def carboy_application(app: Any) -> Any:
    """The Carboy application that `app` is, or that is inside this middleware; or None."""
    return next((each for each in layers(app) if hasattr(each, "direct_lifespan")), None)


def layers(app: Any) -> Iterator[Any]:
    """An application, and what it wraps if it is a middleware, from the outside to the inside."""
    for _ in range(DEPTH):
        if app is None:
            return
        yield app
        inner = (getattr(app, name, None) for name in INNER)
        app = next((each for each in inner if callable(each)), None)
        app = getattr(app, "__self__", app)  # app.wsgi_app is a method
