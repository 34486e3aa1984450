"""Any ASGI application (version 3, or 2) behind the gateway's calling convention.

The application runs as a task on the worker's event loop. If the leader runs on the thread of that
loop (server/loop_lead.py), the task makes its first step in `handle`, and most applications answer
in it. A task that waits goes on with the request's channel, like all tasks under other leaders,
which only post calls to the loop:

    leader            ──begin──▶  the loop makes the task
    leader            ──changed─▶ the loop wakes what waits in `receive` or `send`
    the task          ──────────▶ Channel, whose methods any thread may call

Everything else in this file belongs to the thread of the loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any
from weakref import ref

from carboy.gateway.asgi_messages import STATUSES, as_bytes, decoded
from carboy.gateway.asgi_parts import FilePart, Trailers
from carboy.gateway.asgi_scope import http_scope
from carboy.gateway.asgi_websocket import WebSocketCall
from carboy.gateway.callables import is_legacy, of_version_2
from carboy.gateway.interface import (
    ANSWERED,
    Answer,
    Channel,
    ChannelClosed,
    Exchange,
    StartFailed,
)
from carboy.gateway.lifespan import Lifespan
from carboy.gateway.path_shapes import PathShapes
from carboy.gateway.websocket_support import Support
from carboy.net import worker_loop
from carboy.net.loop import Loop
from carboy.request_identity import current

log = logging.getLogger("carboy.error")

Message = dict[str, Any]
Application = Callable[..., Awaitable[None]]

DISCONNECT = "http.disconnect"
SENT: tuple[str, list[tuple[str, str]]] = ("", [])  # a head that is no longer needed
LARGE = 64 * 1024  # bytes of a body; work on smaller ones is quick
NO_RESPONSE = "The application returned without sending a response."
LEAST = 1.0  # seconds for the application's end, however late the stop is


class AsgiGateway:
    """An ASGI application. `start` runs its lifespan up to the first request, `stop` the rest.

    `loop` is the kind of event loop. `name` is the name of the application in errors.
    """

    path_has_prefix = True  # of a mounted application: root_path is a part of the path

    def __init__(self, app: Any, loop: str = "auto", name: str = "The application") -> None:
        self.app: Application = of_version_2(app) if is_legacy(app) else app
        self.name = name
        self._kind = loop
        self.prepare = PathShapes().prepare
        self.tasks: set[asyncio.Task[None]] = set()  # the loop refers to them only weakly
        self.spare: set[asyncio.Task[None]] = set()  # that wait for a request (_speedups/asgi.pyx)
        # from `start` on
        self.loop: Loop
        self.state: dict[str, Any]
        self._lifespan: Lifespan

    # --- what the engine calls

    def websocket_support(self) -> Support:
        """SERVED: an ASGI application gets messages."""
        return Support.SERVED

    def body_limit(self, exchange: Exchange) -> int | None:
        """None: an ASGI application cannot declare a limit."""
        return None

    def wants_stream(self, exchange: Exchange) -> bool:
        """False: the content comes through the channel."""
        return False

    def answers_later(self, exchange: Exchange) -> bool:
        """True: the content is read through the channel."""
        return True

    def handle(self, exchange: Any) -> Answer:
        """Call the application here, or have it called when its channel is open.

        A handshake for a WebSocket that breaks a rule is answered at once.
        """
        answer: Answer
        if exchange.head.upgrade:
            call = WebSocketCall(self, exchange)
            websocket = exchange.websocket(call.changed)
            if isinstance(websocket, tuple):
                return websocket
            if websocket is not None:
                call.websocket = websocket
                answer = exchange.later(websocket)
                return answer
        request = Request(self, exchange)
        # The content comes through the channel.
        if self.loop.is_current() and not exchange.head.has_body:
            return request.run_here()
        answer = exchange.later(request)
        return answer

    @property
    def only_loop(self) -> Loop | None:
        """The loop that runs everything of this gateway, from `start` on."""
        return getattr(self, "loop", None)

    # --- what the worker calls

    def start(self) -> None:
        """Start the loop and the application's lifespan. Raises StartFailed."""
        try:
            self._kind = worker_loop.hold(self._kind)
        except ValueError as problem:
            raise StartFailed(str(problem)) from None
        self.loop = worker_loop.worker_loop(self._kind)
        for code in OUTERMOST:
            self.loop.watch.learn(code, _name_of, _exchange_of)
        self._lifespan = Lifespan(self.app, self.loop, self.name)
        self.state = self._lifespan.state
        try:
            self._lifespan.start()
        except StartFailed:
            worker_loop.release(self._kind, LEAST)
            raise

    def stop(self, seconds: float) -> None:
        """Wait for tasks that outlive their response, end the lifespan, and stop the loop."""
        until = time.monotonic() + max(LEAST, seconds)
        try:
            self.loop.submit(self._end_tasks(max(LEAST, seconds))).result(max(LEAST, seconds) + 1)
            self._lifespan.stop(max(LEAST, until - time.monotonic()))
        except (TimeoutError, RuntimeError):
            log.warning("%s did not end in time.", self.name)
        worker_loop.release(self._kind, LEAST)

    async def _end_tasks(self, seconds: float) -> None:
        for task in self.spare:
            task.cancel()
        self.spare.clear()
        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=seconds)
            for task in late:
                task.cancel()

    def run(self, call: WebSocketCall) -> None:
        """On the loop: call the application for a WebSocket."""
        # Like a request, it takes its task out itself: a callback for that has 140 bytes.
        self.tasks.add(
            asyncio.get_running_loop().create_task(call.run(), context=call.exchange.context)
        )

    def run_request(self, request: Request) -> None:
        """On the loop: call the application for a request."""
        request.task = task = asyncio.get_running_loop().create_task(
            request.run(), context=request.exchange.context
        )
        self.tasks.add(task)


class Request:
    """One call of the application: a Receiver of gateway.interface, and `receive` and `send`."""

    __slots__ = ("_answered", "_begun", "_body_read", "_changed", "_channel", "_error", "_gateway",
                 "_here", "_response", "_streams", "_trailers", "_waiting", "exchange",
                 "task")  # fmt: skip

    def __init__(self, gateway: AsgiGateway, exchange: Any) -> None:
        self.exchange = exchange
        self.task: asyncio.Task[None] | None = None
        self._gateway = gateway
        self._channel: Channel | None = None  # None: not open yet, or not needed
        # The first step is made in `handle`: a whole response is sent without a channel, and an
        # error is raised there.
        self._here = False
        self._answered = False
        self._error: BaseException | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._changed = False  # a call to wake what waits has been posted
        self._body_read = False
        self._response: tuple[str, list[tuple[str, str]]] | None = None  # from its start message
        self._begun = False  # the head of the response is on its way
        # Parts are on their way, and the application does not know that the client has gone.
        self._streams = False
        # Fields after the body, if the application sends some; complete: the body is.
        self._trailers: Trailers | None = None

    # --- on the leader

    def run_here(self) -> Answer:
        """Call the application at once; the leader runs on the thread of the loop."""
        self._here = True
        task = self._gateway.loop.run_now(self.run(), self.exchange.context)
        if not task.done():
            self.task = task
            self._gateway.tasks.add(task)
        return self.after_first_step()

    def after_first_step(self) -> Answer:
        """The result of `handle` after the first step. Raises the error of the application."""
        self._here = False
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        answer: Answer = ANSWERED if self._answered else self.exchange.later(self)
        return answer

    def begin(self, channel: Channel) -> None:
        """Have the loop call the application, or let it go on."""
        self._channel = channel
        if self.task is None:
            self._gateway.loop.hand_over(self._gateway.run_request, self)
        else:
            self._gateway.loop.hand_over(self._wake)

    def changed(self) -> None:
        """Have the loop wake what waits."""
        if not self._changed:
            self._changed = True
            self._gateway.loop.hand_over(self._wake)

    def overdue(self) -> None:
        """Cancel the call: the request is over its time limit, and its client was answered."""
        self._gateway.loop.call(self._cancel)

    # --- on the loop

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def _wake(self) -> None:
        # Reset first: a change after this posts another call, a change before it is seen now.
        self._changed = False
        waiting, self._waiting = self._waiting, []
        waits = False
        for future in waiting:
            if not future.done():
                future.set_result(None)
                waits = True
        if self._streams and self._channel is not None and self._channel.gone:
            self._streams = False
            # Otherwise it waits for something else, and would notice at its next part only.
            if not waits and self.task is not None:
                self.task.cancel()

    def _change(self) -> asyncio.Future[None]:
        """A future that is done at the next change."""
        future = asyncio.get_running_loop().create_future()
        if self._waiting:  # without those that were given up, as by asyncio.wait_for()
            self._waiting = [each for each in self._waiting if not each.done()]
        self._waiting.append(future)
        return future

    async def _opened(self) -> Channel:
        """The channel, once it is open. Raises ChannelClosed if the response needs none."""
        while self._channel is None:
            if self._answered:
                raise ChannelClosed("The response is complete already.")
            await self._change()
        return self._channel

    async def run(self, rest: Awaitable[None] | None = None) -> None:
        """Call the application, and complete what it has left.

        `rest` is what is left of a call whose first step was made already (_speedups/asgi.pyx).
        """
        gateway = self._gateway
        current.set(ref(self.exchange))  # this is the context of the request
        try:
            if rest is None:
                scope = self.exchange.scope = http_scope(self.exchange, gateway.state)
                rest = gateway.app(scope, self.receive, self.send)
            await rest
        except BaseException as error:  # also SystemExit, which would end the loop
            await self._failed(error)
            return
        finally:
            if self.task is not None:
                gateway.tasks.discard(self.task)
        if not self._answered and (self._channel is None or self._channel.open):
            await self._failed(
                RuntimeError(
                    "The application returned without completing its response."
                    if self._begun
                    else NO_RESPONSE
                )
            )

    async def _failed(self, error: BaseException) -> None:
        """Have the error logged, and 500 sent if nothing was."""
        if self._here and not self._answered:
            self._error = error
            return
        channel = None if self._answered else await self._opened()
        # A task that outlives its response or its client is cancelled at a stop.
        if isinstance(error, asyncio.CancelledError) and not (channel and channel.open):
            return
        if channel is None:
            self.exchange.failed_late(error)
        else:
            channel.fail(error)

    async def receive(self) -> Message:
        """The next part of the body; after that, http.disconnect once the exchange has ended."""
        try:
            channel = self._channel
            if channel is None:
                if not (self._body_read or self._answered):
                    self._body_read = True  # the first step is made here only without a body
                    return {"type": "http.request", "body": b"", "more_body": False}
                channel = await self._opened()
            while not self._body_read:
                data, more = channel.read()
                if data or not more:
                    self._body_read = not more
                    return {"type": "http.request", "body": data, "more_body": more}
                await self._change()
            while channel.open:
                await self._change()
        except ChannelClosed:
            pass
        self._streams = False
        return {"type": DISCONNECT}

    async def send(self, message: Message) -> None:
        """Send a part of the response; waits while the client is slow.

        Raises ChannelClosed, an OSError, when the client has gone (ASGI, spec version 2.4).
        """
        try:
            kind = message["type"]
            if kind == "http.response.body":
                if not (self._here and self._answer_here(message)):
                    await self._send_body(message)
            elif kind == "http.response.start":
                self._start(message)
            elif kind == "http.response.pathsend":
                self._send_file(message["path"], await self._opened())
            elif kind == "http.response.zerocopysend":
                await self._send_part(message)
            elif kind == "http.response.trailers":
                self._send_trailers(message, await self._opened())
            elif kind == "http.response.early_hint":
                links = [(b"link", bytes(link)) for link in message["links"]]
                (await self._opened()).interim("103 Early Hints", decoded(links))
            else:
                raise RuntimeError(f"There is no message {kind!r} for an HTTP response.")
        except ChannelClosed:
            self._streams = False
            raise

    def _start(self, message: Message) -> None:
        if self._response is not None:
            raise RuntimeError("The response was started a second time. Send its body.")
        status = int(message["status"])
        text = STATUSES.get(status) or str(status)
        self._response = text, decoded(message.get("headers") or ())
        self._trailers = Trailers() if message.get("trailers", False) else None
        if self._channel is not None and self._channel.gone:
            raise ChannelClosed("The client has gone.")

    def _send_file(self, path: Any, channel: Channel) -> None:
        """Send a whole file; it is opened here, so that the response to an error can be sent."""
        if self._response is None or self._begun or self._trailers is not None:
            raise RuntimeError("A file is sent after http.response.start and without other parts.")
        with Path(path).open("rb") as file:
            channel.file(*self._response, file)
        self._begun = True
        self._wake()

    def _answer_here(self, message: Message) -> bool:
        """Answer with a whole body in the first step; False if it is not whole, or takes long."""
        response, body = self._response, message.get("body", b"")
        if (
            response is None
            or self._begun
            or self._trailers is not None
            or body.__class__ is not bytes
            or len(body) > LARGE
            or message.get("more_body", False)
        ):
            return False
        self.exchange.answer(*response, body)
        self._answered = self._begun = True
        if self._waiting:
            self._wake()  # what waits in `receive` gets http.disconnect
        return True

    async def _send_body(self, message: Message) -> None:
        response = self._response
        if response is None:
            raise RuntimeError("A body was sent before http.response.start. Send that first.")
        body = message.get("body", b"")
        if not isinstance(body, bytes):
            body = as_bytes(body)
        more = message.get("more_body", False)
        if self._trailers is not None:
            self._trailers.body(more)
        if not (self._begun or more) and self._trailers is None:
            if len(body) > LARGE:
                status, headers, body = await self._worked_on(*response, body)
                response = status, headers
            if self._here:
                self.exchange.answer(*response, body)
                self._answered = True
            else:
                (self._channel or await self._opened()).whole(*response, body)
            self._begun = True
            if self._waiting:
                self._wake()  # what waits in `receive` gets http.disconnect
            return
        channel = self._channel or await self._opened()
        if not self._begun:
            channel.head(*response)
            self._begun = self._streams = True
            self._response = SENT
            channel.send(body)  # the head leaves with it, even without a body
        elif body:
            channel.send(body)
        await self._after_part(more, channel)

    async def _worked_on(
        self, status: str, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[str, list[tuple[str, str]], bytes]:
        """The response after the work of the server that takes long, done on another thread."""
        find = getattr(self.exchange, "slow_work", None)
        work = None if find is None else find(status, headers, body)
        if work is None:
            return status, headers, body
        done: tuple[str, list[tuple[str, str]], bytes]
        done = await asyncio.get_running_loop().run_in_executor(None, work)
        return done

    async def _send_part(self, message: Message) -> None:
        """Send a part of a file."""
        if self._response is None:
            raise RuntimeError("A file was sent before http.response.start. Send that first.")
        more = message.get("more_body", False)
        channel = self._channel or await self._opened()
        with FilePart(message) as part:
            if self._trailers is not None:
                self._trailers.body(more)
            if not self._begun:
                channel.head(*self._response)
                self._begun = self._streams = True
            channel.send_file(part.fd, part.offset, part.count)
        await self._after_part(more, channel)

    async def _after_part(self, more: bool, channel: Channel) -> None:
        """Wait while the client is slow; end the response after its last part."""
        if more:
            while channel.full and channel.open:
                await self._change()
            if channel.gone:
                raise ChannelClosed("The client has gone.")
        elif self._trailers is None:
            self._streams = False
            channel.finish()
            self._wake()

    def _send_trailers(self, message: Message, channel: Channel) -> None:
        if self._trailers is None:
            raise RuntimeError("Set `trailers` in http.response.start before trailers are sent.")
        self._trailers.add(decoded(message.get("headers") or ()))
        if not message.get("more_trailers", False):
            self._streams = False
            channel.finish(self._trailers.fields)
            self._wake()


# The calls of the application are inside the frames of these.
OUTERMOST = (Request.run.__code__, WebSocketCall.run.__code__)


def _exchange_of(frame: FrameType) -> Any:
    return frame.f_locals["self"].exchange


def _name_of(frame: FrameType) -> str:
    """The request line of a call that keeps the loop from running."""
    return str(_exchange_of(frame).request_line())
