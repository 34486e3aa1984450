"""One call of a WebSocket handler: from the handshake to the teardown functions.

    later ─▶ the server opens the connection ─▶ start
      the handler runs       on a WebSocket thread; a coroutine function on the event loop
      it ends, and           the handshake is not accepted: its return value or error is the
                             response, as for a view (`refuse`)
                             otherwise: the connection is closed, an error is logged (`finish`)
      or it goes on          a generator, or a handler that has called ws.on_message: see
                             websocket_events
      teardown functions     run once, after all that

All code of the application runs in the context of the request (`exchange.context`), which one
thread at a time can enter: the handler, then each callback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from types import FrameType
from typing import TYPE_CHECKING, Any

from carboy.app import signals
from carboy.app.loop import name_calls, the_loop
from carboy.http.exceptions import HTTPException, ServiceUnavailable
from carboy.realtime.websocket import AsyncWebSocket, WebSocket
from carboy.realtime.websocket_cycle import end_without_response, handshake_fields
from carboy.realtime.websocket_events import Events
from carboy.realtime.websocket_link import INTERNAL_ERROR, POLICY, ConnectionClosed, Link
from carboy.realtime.websocket_threads import the_threads
from carboy.realtime.websocket_waiter import Waiter
from carboy.request_identity import runners

if TYPE_CHECKING:
    from carboy.app.context import RequestContext
    from carboy.gateway.interface import Answer

log = logging.getLogger("carboy.error")
RETRY_AFTER = 5  # seconds
NO_THREAD = "All threads for WebSocket connections are in use."
PAGE_500 = ("500 Internal Server Error", [("Content-Type", "text/plain")], b"Server error.\n")


class HandlerCall:
    """A handler that the server will call, see above: the `call` of active.Suspended."""

    __slots__ = ("_app", "_context", "_ctx", "_exchange", "_resume", "_threads", "_values", "_view",
                 "link")  # fmt: skip

    def __init__(
        self,
        view: Any,
        ctx: RequestContext,
        exchange: Any,
        link: Link,
        values: dict[str, Any],
    ) -> None:
        self._view = view
        self._ctx = ctx
        self._app = ctx.app
        self._exchange = exchange
        self._values = values
        self._context: Context = exchange.context
        self._threads = the_threads(*exchange.websocket_limits)
        self._resume: Callable[..., Any] = _nothing
        self.link = link
        link.handshake_fields = lambda: handshake_fields(self._app, self._ctx)
        link.too_many = self._too_many

    def later(self, origin: Any, resume: Callable[..., Any]) -> Answer:
        """Have the server go on with other requests. `resume` runs the rest of the cycle."""
        self._resume = resume
        self.link.listener = self._opened
        answer: Answer = self._exchange.later(self.link.transport)
        self._exchange.websocket_began()
        return answer

    def _opened(self) -> None:
        """The server has opened the connection: have the handler called."""
        if self._view.is_async:
            loop = the_loop()
            name_calls(HandlerCall._await.__code__, _name_of, _exchange_of)
            waiter = Waiter(self.link, loop, self._threads)
            self.link.listener = waiter.changed
            loop.call_soon_threadsafe(self._start_on_loop, loop, waiter)
            return
        self.link.listener = _nothing
        self.link.hold = self._threads.hold
        self._threads.submit(self._run, self._no_thread)

    def _no_thread(self) -> None:
        self._context.run(self.end, None, self._too_many())

    def _too_many(self) -> BaseException:
        self._exchange.refusal = "websocket_threads"  # for the metrics
        return _too_many()

    # --- a plain function, on a thread

    def _run(self) -> None:
        events = self._context.run(self._call)
        if events is not None:
            events.run()

    def _call(self) -> Events | None:
        """Call the handler; returns its events if it goes on."""
        ws = WebSocket(self.link, self._ctx)
        try:
            value = self._view.handler(ws, **self._values)
        except BaseException as error:
            self.end(None, error)
            return None
        events = Events.of(ws, value, self.link, self._threads, self._context, self.end)
        if events is None:
            self.end(value, None)
        elif events.begin():
            return events
        return None

    # --- a coroutine function, on the loop

    def _start_on_loop(self, loop: asyncio.AbstractEventLoop, waiter: Waiter) -> None:
        ws = AsyncWebSocket(self.link, self._ctx, waiter)
        task = loop.create_task(self._await(ws), context=self._context)
        tasks.add(task)
        task.add_done_callback(self._awaited)

    async def _await(self, ws: AsyncWebSocket) -> Any:
        return await self._view.handler(ws, **self._values)

    def _awaited(self, task: asyncio.Task[Any]) -> None:
        """The coroutine has ended. Hooks may block, so they do not run on the loop."""
        tasks.discard(task)
        value, error = None, None
        try:
            value = task.result()
        except BaseException as raised:
            error = raised
        self._threads.submit(lambda: self._context.run(self.end, value, error))

    # --- the end, in the context of the request

    def end(
        self,
        value: Any,
        error: BaseException | None,
        at_close: Callable[[], object] | None = None,
    ) -> None:
        """The handler has returned `value` or raised `error`.

        `at_close` is called when the connection is closed, before the teardown functions.
        """
        try:
            self._end(value, error, at_close)
        finally:
            self._exchange.websocket_ended()

    def _end(
        self, value: Any, error: BaseException | None, at_close: Callable[[], object] | None
    ) -> None:
        link = self.link
        if isinstance(error, ConnectionClosed) and error.link is link:
            error = None
        if not link.accepted and error is None and value is None and link.transport.closed is None:
            try:
                link.accept()
            except BaseException as raised:
                error = raised
        if link.accepted or (error is None and link.transport.closed is not None):
            self._finish(error, at_close)
        else:
            self._refuse(value, error)

    def _refuse(self, value: Any, error: BaseException | None) -> None:
        """Refuse the handshake with the response that a view would have given."""

        def result() -> Any:
            if error is not None:
                raise error
            return value

        try:
            answer = self._resume(result, self._exchange)
            status, headers, body = _complete(answer)
        except BaseException as raised:  # PROPAGATE_EXCEPTIONS
            self._report(raised)
            status, headers, body = PAGE_500
        try:
            self.link.transport.refuse(status, headers, body)
        except ConnectionError:
            pass  # the client has gone

    def _finish(self, error: BaseException | None, at_close: Callable[[], object] | None) -> None:
        """Close the connection, log an error, and run the teardown functions."""
        link, app = self.link, self._app
        if isinstance(error, HTTPException) and error.code is not None and error.code < 500:
            link.close(POLICY, error.name)
            error = None
        elif error is not None:
            link.close(INTERNAL_ERROR, "Internal server error")
            self._log(error)
        else:
            link.close()
        if at_close is not None:
            try:
                at_close()
            except BaseException as raised:
                error = raised
                self._log(error)
        try:
            end_without_response(app, self._ctx, error)
        except BaseException as raised:
            self._report(raised)

    def _log(self, error: BaseException) -> None:
        """Log an error of the application, as for a view."""
        app = self._app
        signals.send_async("got_request_exception", app, exception=error)
        if _propagates(self._exchange, app):
            self._report(error)
        else:
            app.log_exception((type(error), error, error.__traceback__))

    def _report(self, error: BaseException) -> None:
        """An error that nothing handles: a test client raises it, a server logs it."""
        report = getattr(self._exchange, "websocket_failed", None)
        if report is not None:
            report(error)
        else:
            log.error("Error in %s", self._view.__name__, exc_info=error)


tasks: set[asyncio.Task[Any]] = set()  # the loop itself keeps only weak references


def _propagates(exchange: Any, app: Any) -> bool:
    """Whether an error is raised in the test instead of being logged."""
    if getattr(exchange, "websocket_failed", None) is None:
        return False
    propagate = app.config["PROPAGATE_EXCEPTIONS"]
    return bool(app.testing or app.debug) if propagate is None else bool(propagate)


def _exchange_of(frame: FrameType) -> Any:
    call: HandlerCall = frame.f_locals["self"]
    return call._exchange


runners[HandlerCall._run.__code__] = _exchange_of


def _name_of(frame: FrameType) -> str:
    """The request line and the handler of a call, for reports about the loop."""
    call: HandlerCall = frame.f_locals["self"]
    line = getattr(call._exchange, "request_line", str)()
    return f"{line}: {call._view.__name__}()"


def _too_many() -> ServiceUnavailable:
    return ServiceUnavailable(NO_THREAD, retry_after=RETRY_AFTER)


def _complete(answer: Answer) -> tuple[str, list[tuple[str, str]], bytes]:
    """The answer with its body in one piece."""
    status, headers, body, close = answer
    try:
        whole = body if isinstance(body, bytes) else b"".join(body)
    finally:
        if close is not None:
            close()
    return status, headers, whole


def _nothing(*args: object) -> None:
    pass
