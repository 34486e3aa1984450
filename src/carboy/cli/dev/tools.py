"""What `carboy dev` puts around an application: debugger, list of requests, live page."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from carboy.app.globals import request_ctx
from carboy.cli.locate import BrokenApplication, NoApplication
from carboy.cli.tracebacks import is_users, painted, traceback_text
from carboy.dev.debugger import DebuggedApplication
from carboy.dev.explain.explanation import of_traced
from carboy.dev.explain.page import data_of
from carboy.dev.explain.tracer import Traced, Tracer
from carboy.dev.live import Broadcaster, Failure, LivePage
from carboy.dev.requests import RequestList, Store
from carboy.server.engine import Engine
from carboy.server.logs.output import colours_wanted, standard
from carboy.server.runner import Runner
from carboy.serving.development import is_running_from_reloader

# The engine's units of work. A turn serves several connections, each in a branch of its own.
UNITS = {Engine._turn.__code__: 1, Runner.run.__code__: 0}


def peer_of(frame: FrameType) -> Any:
    """The client whose bytes a branch of the engine is reading."""
    return frame.f_locals["connection"].peer


READING = {Engine._read.__code__: peer_of, Engine._serve_by_phase.__code__: peer_of}


@dataclass(slots=True)
class Tools:
    """Which of them are wanted; `host` is where the console may be used besides this machine."""

    debugger: bool = True
    live: bool = True
    host: str = "127.0.0.1"
    requests: Path | None = None  # where the last requests are kept; None: they are not
    tracer: Tracer | None = field(default=None, init=False)

    def around(self, app: Any, broadcaster: Broadcaster) -> Any:
        """The application with its tools."""
        own = app
        guard = DebuggedApplication(app, evalex=self.debugger, pin_logging=False)
        guard.trusted_hosts.append(self.host)
        # What keeps an application from being loaded has been told, once.
        guard.describe = (lambda error: "") if broadcaster.failure else in_terminal
        if self.debugger:
            app = guard
        if self.requests is not None:
            store = Store(self.requests)
            self.tracer = tracer_of(own, store)
            app = RequestList(app, store, guard, self.tracer, session_that_is_open)
        return LivePage(app, broadcaster) if self.live else app

    def trace(self) -> None:
        """For the engine to call before each unit of work."""
        if self.tracer is not None:
            self.tracer.watch()


def tracer_of(app: Any, store: Store) -> Tracer:
    """Records the calls of requests into the store, from reading bytes to sending the response."""

    def keep(traced: Traced) -> None:
        store.add_calls(traced.number, data_of(of_traced(traced, app)))

    return Tracer(keep, lambda: store.records_calls, UNITS, READING)


def session_that_is_open() -> Any:
    """The session of the request that runs, of Carboy or of Flask; None if nobody opened it."""
    if request_ctx:
        return request_ctx._opened
    context = getattr(sys.modules.get("flask.globals"), "request_ctx", None)
    return context.session if context else None


def failure_of(problem: BaseException) -> Failure:
    """What is shown of an application that could not be loaded."""
    error = problem.__cause__ or problem
    lines = traceback.format_exception_only(error)
    if isinstance(problem, BrokenApplication):
        return Failure(lines[-1].strip(), str(problem))
    return Failure(str(problem), str(problem))


def in_terminal(error: BaseException) -> str:
    """An exception's traceback as the terminal shows it."""
    return in_colours(traceback_text(error))


def in_colours(text: str) -> str:
    """The text of a traceback, painted if standard error is a terminal that wants colours."""
    return painted(text) if colours_wanted(standard(sys.stderr, 2)) else text


def failing(problem: BaseException) -> Callable[[Any, Any], Any]:
    """An application that raises what kept the real one from being loaded."""
    error = problem.__cause__ or problem
    trace = error.__traceback__
    while trace is not None and not is_users(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next  # how we came to import it helps nobody

    def app(environ: Any, start_response: Any) -> Any:
        __traceback_hide__ = True
        raise error.with_traceback(trace) from error.__cause__

    return app


class Ended(Exception):
    """The application's process has ended before it could serve."""


LOADING = (BrokenApplication, NoApplication, Ended)


def loaded_or_failing(load: Callable[[], Any]) -> Any:
    """What `load` gives; after a reload, if it raises, an application that raises the same.

    At the first start the user is at the terminal, and the error belongs there.
    """
    try:
        return load()
    except Exception as error:
        if not is_running_from_reloader():
            raise
        failure = error.__cause__ or error  # what the application's own code has raised
        traceback.print_exception(failure)
        return failing(failure)
