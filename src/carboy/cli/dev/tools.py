"""The tools that `carboy dev` puts around an application: debugger, list of requests, live page."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from carboy.app.globals import request_ctx
from carboy.cli.locate import BrokenApplication, NoApplication, is_flask_like
from carboy.cli.tracebacks import coloured, traceback_text
from carboy.dev.debugger import DebuggedApplication
from carboy.dev.debugger.logged import LoggedErrors
from carboy.dev.explain.explanation import of_traced
from carboy.dev.explain.page import data_of
from carboy.dev.explain.tracer import Traced, Tracer
from carboy.dev.hints import hints
from carboy.dev.live import Broadcaster, Failure, LivePage
from carboy.dev.ownership import claim, is_library
from carboy.dev.requests import RequestList, Store, hooks
from carboy.dev.requests.hooks import views
from carboy.dev.requests.recording import current
from carboy.dev.routes.page import with_routes_page
from carboy.gateway import with_middleware
from carboy.net.worker_loop import running_loops
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


@dataclass(slots=True, weakref_slot=True)
class Tools:
    """The tools to use. `host` may use the console, besides localhost."""

    debugger: bool = True
    live: bool = True
    host: str = "127.0.0.1"
    requests: Path | None = None  # folder of the last requests; None: no list
    tracer: Tracer | None = field(default=None, init=False)
    _guard: DebuggedApplication | None = field(default=None, init=False)  # the first one

    def watch_packages(self) -> None:
        """For a worker to call before it imports the application, which may connect by then."""
        if self.requests is not None:
            hooks.watch(self)

    def around(self, app: Any, broadcaster: Broadcaster) -> Any:
        """The application with its tools; each application, if several are mounted."""
        store = Store(self.requests) if self.requests is not None else None
        return with_middleware(app, partial(self._around_one, broadcaster, store))

    def _around_one(self, broadcaster: Broadcaster, store: Store | None, app: Any, own: Any) -> Any:
        """A WSGI application with its tools; `own` is the application of the user."""
        claim(own)
        app = with_routes_page(app) if app is own else LoggedErrors(app)
        guard = DebuggedApplication(
            app, self.debugger, pin_logging=False, console_init_func=lambda: {"app": own}
        )
        guard.trusted_hosts.append(self.host)
        # The error of an application that does not load has been shown once.
        guard.describe = (lambda error: "") if broadcaster.failure else in_terminal
        if self._guard is None:
            self._guard = guard
        else:
            guard.join(self._guard)
        if self.debugger:
            app = guard
        if store is not None:
            self.tracer = self.tracer or tracer_of(own, store)
            app = RequestList(app, store, guard, self.tracer, open_session)
            if is_flask_like(own):
                views.watch_flask(own)
        return LivePage(app, broadcaster) if self.live else app

    def trace(self) -> None:
        """For the engine to call before each unit of work."""
        if self.tracer is not None:
            self.tracer.watch()


def tracer_of(app: Any, store: Store) -> Tracer:
    """Records the calls of requests into the store, from reading bytes to sending the response."""

    def keep(traced: Traced) -> None:
        store.add_calls(traced.number, data_of(of_traced(traced, app)))

    return Tracer(keep, lambda: store.records_calls, UNITS, READING, _number, _on_loops)


def _on_loops(function: Callable[[], None]) -> None:
    """Have each running event loop call a function, before what is given to it later."""
    for loop in running_loops():
        loop.call(function)


def _number() -> int | None:
    """The number of the request in whose context this is called."""
    recording = current.get()
    return None if recording is None else recording.record.number


def open_session() -> Any:
    """The open session of the current request, of Carboy or of Flask; None without one."""
    if request_ctx:
        return request_ctx._opened
    context = getattr(sys.modules.get("flask.globals"), "request_ctx", None)
    return context.session if context else None


def failure_of(problem: BaseException) -> Failure:
    """Title and text for an application that could not be loaded."""
    error = problem.__cause__ or problem
    lines = traceback.format_exception_only(error)
    if isinstance(problem, BrokenApplication):
        return Failure(lines[-1].strip(), str(problem))
    return Failure(str(problem), str(problem))


def in_terminal(error: BaseException) -> str:
    """The traceback of an exception for the terminal, with hints."""
    return in_colours(traceback_text(error)) + "".join(f"{hint}\n" for hint in hints(error))


def in_colours(text: str) -> str:
    """The text of a traceback, coloured if standard error is a terminal that wants colours."""
    return coloured(text) if colours_wanted(standard(sys.stderr, 2)) else text


def failing(problem: BaseException) -> Callable[[Any, Any], Any]:
    """An application that raises the error that kept the real one from being loaded."""
    error = problem.__cause__ or problem
    trace = error.__traceback__
    if not isinstance(error, Exception):  # it would end the thread of the server
        error = Ended(f"The program ended while it was imported ({type(error).__name__}).")
    while trace is not None and is_library(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next  # leave out the frames of the import

    def app(environ: Any, start_response: Any) -> Any:
        __traceback_hide__ = True
        raise error.with_traceback(trace) from error.__cause__

    return app


class Ended(Exception):
    """The application's process ended before it could serve."""


LOADING = (BrokenApplication, NoApplication, Ended)


def loaded_or_failing(load: Callable[[], Any]) -> Any:
    """The result of `load`; if it raises after a reload, an application that raises the same.

    At the first start the error is raised, so that it is shown in the terminal.
    """
    try:
        return load()
    except Exception as error:
        if not is_running_from_reloader():
            raise
        failure = error.__cause__ or error  # the error of the application's own code
        traceback.print_exception(failure)
        return failing(failure)
