"""`after_response`: functions that run when the response of a request has been sent.

after_response(f) in a view ──▶ RequestContext.jobs
the end of the cycle        ──▶ `attach`: the response starts the jobs when it is closed
the server has sent it      ──▶ a thread of `net.worker_jobs`, or the event loop

Under a test client, jobs run in the thread of the test, when the request has been answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from carboy.app.active import _cv
from carboy.app.context import _cv_request
from carboy.app.plan import is_coroutine_function
from carboy.net.worker_jobs import jobs
from carboy.net.worker_loop import worker_loop

if TYPE_CHECKING:
    from carboy.app.context import RequestContext

# The jobs of requests of a test client; None outside of it
_collected: ContextVar[list[Job] | None] = ContextVar("carboy.jobs", default=None)


class Job:
    """A function with its arguments, and the request that it belongs to."""

    def __init__(
        self, ctx: RequestContext, function: Callable[..., Any], args: Any, kwargs: Any
    ) -> None:
        self.app: Any = ctx.app
        self.name = _name(function)
        self.request_line = f"{ctx.request.method} {ctx.request.path}"
        self._ctx = ctx.copy()
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._context: Context = copy_context()
        self._context.run(_cv.set, None)  # the contexts of the request itself end with it

    @property
    def shown(self) -> str:
        """The job and its request, for people."""
        return f"{self.name} after {self.request_line}"

    def start(self) -> None:
        """Run the function on the event loop or in a thread of its own; errors are logged."""
        if is_coroutine_function(self._function):
            self._start_coroutine()
        else:
            jobs().submit(self.shown, lambda: self._context.run(self._run_logged))

    def _start_coroutine(self) -> None:
        token = object()
        jobs().began(token, self.shown)

        loop = worker_loop()

        def begin() -> None:
            task = loop.run_request(self._await_logged(), self._context)
            task.add_done_callback(lambda _: jobs().ended(token))

        loop.call(begin)

    def _run_logged(self) -> None:
        try:
            self.run()
        except Exception as error:
            self._failed(error)

    async def _await_logged(self) -> None:
        try:
            with self._ctx:
                await self._function(*self._args, **self._kwargs)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self.app.logger.error("The job %s failed.", self.shown, exc_info=error)

    def run(self) -> None:
        """Run the function here, in a context of its request. Raises its errors."""
        with self._ctx:
            self.app.ensure_sync(self._function)(*self._args, **self._kwargs)

    def run_here(self) -> None:
        """Run the function here for a test; its errors are raised if the application is tested."""
        if self.app.testing:
            self._context.run(self.run)
        else:
            self._context.run(self._run_logged)


class Jobs:
    """The jobs of one request."""

    def __init__(self) -> None:
        self.found: list[Job] = []

    def attach(self, response: Any, origin: Any) -> None:
        """Have a response start the jobs when it has been sent.

        `origin` is the exchange, or the environ, which has the exchange under Carboy's server.
        """
        collected = _collected.get()
        if collected is not None and getattr(response, "is_sequence", False):
            collected += self.found
            return
        start = self.run_here if collected is not None else self.start
        exchange = origin.get("carboy.exchange") if isinstance(origin, dict) else origin
        when_sent = getattr(exchange, "when_sent", None)
        if not hasattr(response, "call_on_close"):
            start()  # it is not a Response, but a WSGI application that a hook has returned
        elif when_sent is None:
            response.call_on_close(start)
        else:
            response.call_on_close(lambda: when_sent(start))

    def start(self) -> None:
        """Start all jobs. Does not wait."""
        for job in self.found:
            job.start()

    def run_here(self) -> None:
        """Run all jobs in this thread."""
        for job in self.found:
            job.run_here()


def after_response(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Call `function(*args, **kwargs)` when the response has been sent.

    It runs in a thread of its own, a coroutine function on the event loop, in a context of the
    same request, as `copy_current_request_context` makes it. An error is logged. A worker that
    stops waits for such functions as it does for requests. Raises RuntimeError outside of a
    request.
    """
    ctx = _cv_request.get(None)
    if ctx is None:
        raise RuntimeError(
            "'after_response' can only be used while a request is being handled. Call it in a view"
            " or a hook."
        )
    if not callable(function):
        raise TypeError(f"after_response needs a function, and {function!r} is not one.")
    if ctx.jobs is None:
        ctx._after = ctx._after or []  # so that there is a Response, which starts the jobs
        ctx.jobs = Jobs()
    ctx.jobs.found.append(Job(ctx, function, args, kwargs))


@contextmanager
def run_here() -> Iterator[None]:
    """Run the jobs of requests that are made within the block here, at its end."""
    collected: list[Job] = []
    token = _collected.set(collected)
    try:
        yield
    finally:
        _collected.reset(token)
    for job in collected:
        job.run_here()


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", function))
