"""A WebSocket for an ASGI application: the scope, `receive` and `send` (spec version 2.5).

    websocket.connect ──▶ websocket.accept ─▶ messages both ways ─▶ websocket.disconnect
                          websocket.close            403
                          websocket.http.response.*  an ordinary response (an extension)

The leader calls `changed` and `look`; everything else belongs to the thread of the loop.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any
from weakref import ref

from carboy.gateway.asgi_messages import STATUSES, as_bytes, decoded
from carboy.gateway.asgi_scope import websocket_scope
from carboy.gateway.interface import ChannelClosed, WebSocket
from carboy.request_identity import current

if TYPE_CHECKING:
    from carboy.gateway.asgi import AsgiGateway

Message = dict[str, Any]

RESPONSE_START = "websocket.http.response.start"
RESPONSE_BODY = "websocket.http.response.body"
DISCONNECT = "websocket.disconnect"
ABNORMAL = 1006


class Stage(Enum):
    """The last message of the application that matters."""

    CONNECTING = "nothing: the handshake is not answered"
    ACCEPTED = "websocket.accept"
    RESPONDING = "websocket.http.response.start"
    ENDED = "the end of the response, or websocket.close"


CONNECTING, ACCEPTED, RESPONDING, ENDED = Stage


class WebSocketCall:
    """One call of the application."""

    __slots__ = ("_connected", "_gateway", "_head", "_head_sent", "_posted", "_stage", "_started",
                 "_waiting", "exchange", "websocket")  # fmt: skip

    def __init__(self, gateway: AsgiGateway, exchange: Any) -> None:
        self.exchange = exchange
        self.websocket: WebSocket
        self._gateway = gateway
        self._stage = CONNECTING
        self._started = False  # the application is called
        self._connected = False  # it has received websocket.connect
        self._posted = False  # a call to wake what waits is on its way to the loop
        self._waiting: list[asyncio.Future[None]] = []
        self._head: tuple[str, list[tuple[str, str]]] = ("", [])  # of an ordinary response
        self._head_sent = False

    # --- on the leader, or in a call of the WebSocket

    def changed(self) -> None:
        """Have the loop call the application, or wake what waits."""
        if not self._posted:
            self._posted = True
            self._gateway.loop.hand_over(self._wake)

    # --- on the loop

    def _wake(self) -> None:
        # Reset first: a change after this posts another call, a change before it is seen now.
        self._posted = False
        if not self._started:
            self._started = True
            self._gateway.run(self)
            return
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _change(self) -> asyncio.Future[None]:
        """A future that is done at the next change."""
        future = asyncio.get_running_loop().create_future()
        if self._waiting:  # without those that were given up, as by asyncio.wait_for()
            self._waiting = [each for each in self._waiting if not each.done()]
        self._waiting.append(future)
        return future

    async def run(self) -> None:
        """Call the application, and end what it has left."""
        websocket = self.websocket
        current.set(ref(self.exchange))  # this is the context of the request
        try:
            scope = websocket_scope(self.exchange, websocket.subprotocols, self._gateway.state)
            self.exchange.scope = scope
            await self._gateway.app(scope, self.receive, self.send)
        except BaseException as error:  # also SystemExit, which would end the loop
            if not isinstance(error, asyncio.CancelledError) or websocket.closed is None:
                websocket.fail(error)
            return
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._gateway.tasks.discard(task)
        if self._stage is RESPONDING:
            websocket.fail(RuntimeError("The application returned without ending its response."))
        elif self._stage is ACCEPTED:
            websocket.close()
        elif self._stage is CONNECTING and websocket.closed is None:
            websocket.fail(
                RuntimeError(
                    "The application returned without answering the WebSocket handshake. Send"
                    " websocket.accept, or websocket.close to refuse it."
                )
            )

    async def receive(self) -> Message:
        """The next message of the client; after the end, websocket.disconnect each time."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        websocket = self.websocket
        while True:
            closed = websocket.closed  # looked at first: messages come before the end
            message = websocket.take()
            if message is not None:
                key = "text" if isinstance(message, str) else "bytes"
                return {"type": "websocket.receive", key: message}
            if closed is not None:
                return {"type": DISCONNECT, "code": closed.code, "reason": closed.reason}
            if self._stage is ENDED:
                return {"type": DISCONNECT, "code": ABNORMAL, "reason": ""}
            await self._change()

    async def send(self, message: Message) -> None:
        """Send a message to the client, or answer the handshake; waits while the client is slow.

        Raises ChannelClosed, an OSError, when the WebSocket is closed (spec version 2.5).
        """
        kind = message["type"]
        if self._stage is ACCEPTED:
            if kind == "websocket.send":
                await self._send(message)
                return
            if kind == "websocket.close":
                self._stage = ENDED
                code = message.get("code")
                self.websocket.close(1000 if code is None else code, message.get("reason") or "")
                return
        elif self._stage is CONNECTING:
            if self.websocket.closed is not None:
                raise ChannelClosed("The client has gone.")
            if kind == "websocket.accept":
                self._accept(message)
                return
            if kind == "websocket.close":
                self._stage = ENDED
                self.websocket.close()
                return
            if kind == RESPONSE_START:
                self._start(message)
                return
        elif self._stage is RESPONDING:
            if kind == RESPONSE_BODY:
                await self._send_body(message)
                return
        elif self.websocket.closed is not None and kind.startswith("websocket."):
            raise ChannelClosed("The WebSocket is closed.")
        raise RuntimeError(f"The message {kind!r} cannot be sent after {self._stage.value}.")

    def _accept(self, message: Message) -> None:
        self.websocket.accept(message.get("subprotocol"), decoded(message.get("headers") or ()))
        self._stage = ACCEPTED

    async def _send(self, message: Message) -> None:
        data = message.get("text")
        if data is None:
            data = message.get("bytes")
            if not isinstance(data, bytes):
                data = as_bytes(data)
        elif not isinstance(data, str):
            raise TypeError(f"The text of a message is a str, not {type(data).__name__}.")
        websocket = self.websocket
        websocket.send(data)
        while websocket.full and websocket.closed is None:
            await self._change()

    def _start(self, message: Message) -> None:
        status = int(message["status"])
        self._head = STATUSES.get(status) or str(status), decoded(message.get("headers") or ())
        self._stage = RESPONDING

    async def _send_body(self, message: Message) -> None:
        channel = self.websocket.channel
        assert channel is not None  # the application was called when it was open
        body = message.get("body", b"")
        if not isinstance(body, bytes):
            body = as_bytes(body)
        more = message.get("more_body", False)
        if not self._head_sent and not more:
            self.websocket.refuse(*self._head, body)
            self._stage = ENDED
            return
        if not self._head_sent:
            self._head_sent = True
            channel.head(*self._head)
        channel.send(body)
        if not more:
            self._stage = ENDED
            channel.finish()
            return
        while channel.full and channel.open:
            await self._change()
