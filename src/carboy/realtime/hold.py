"""`hold`: a response that keeps its connection open for the messages of channels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from carboy.app.globals import current_app, request
from carboy.app.wrappers import Response
from carboy.realtime.channel_rules import check_channel
from carboy.realtime.channels import the_hub
from carboy.realtime.data import as_data
from carboy.realtime.encoded import Encoded
from carboy.realtime.engine import Message
from carboy.realtime.event import Event, encode
from carboy.realtime.held import Hold, Hook, Hooks
from carboy.realtime.outlets import QueueOutlet, StreamOutlet, WebSocketOutlet
from carboy.realtime.websocket_origin import check_origin

if TYPE_CHECKING:
    from carboy.gateway.interface import Answer, Exchange

HEADERS = [
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-cache, no-store, no-transform"),
    ("X-Accel-Buffering", "no"),
]
# Header fields of the response that a WebSocket does not have.
OF_STREAMS = frozenset({"content-type", "content-length", "cache-control", "x-accel-buffering"})
MOST_CHANNELS = 100  # of one connection
PARAMETERS = ("last_event_id", "lastEventId")  # in the URL, for clients that cannot send the field


def hold(
    *channels: str,
    name: str | None = None,
    last_event_id: str | None = None,
    keep_alive: float = 15.0,
    retry: float = 3.0,
    initial: Iterable[Any] = (),
    on_open: Hook | None = None,
    on_close: Hook | None = None,
    on_message: Callable[[Hold, str | bytes], object] | None = None,
) -> Response:
    """A response that keeps the connection, and sends it the messages of these channels.

    The client gets a stream of events, or a WebSocket if it has asked for one. `name` is shown by
    `subscribers`. A client that gives the id of the last message it has (Last-Event-ID, or the
    parameter `last_event_id` of the URL) gets those since then first; the argument
    `last_event_id` replaces what the client gives. `keep_alive` is the time in seconds between two
    comments (0: none), `retry` the time after which the client connects again. `initial` are
    events to begin with: an Event, or data. The hooks are called with the Hold, `on_message` also
    with each message of a WebSocket client.

    Raises ValueError for a name that a channel cannot have, and for a time that is not a number of
    seconds.
    """
    if not channels:
        raise TypeError('hold() requires a channel, such as hold("room:7").')
    if len(channels) > MOST_CHANNELS:
        raise ValueError(
            f"One connection holds up to {MOST_CHANNELS} channels, not {len(channels)}."
        )
    wanted = tuple(dict.fromkeys(map(check_channel, channels)))
    for value, argument in ((keep_alive, "keep_alive"), (retry, "retry")):
        if not 0 <= value < math.inf:
            raise ValueError(f"The value of {argument} is a number of seconds, not {value!r}.")
    app: Any = current_app._get_current_object()  # type: ignore[attr-defined]
    if request.headers.get("Upgrade", "").lower() == "websocket":
        check_origin(app, request)
    hooks = Hooks(app, keep_alive, on_open, on_close, on_message)
    after = last_event_id if last_event_id is not None else given_id()
    held = Hold(the_hub(app), wanted, name, after, hooks)
    events = [each if isinstance(each, Event) else Event(each) for each in initial]
    body = HeldBody(held, retry, events, app.json.dumps)
    response: Response = app.response_class(body, headers=HEADERS, direct_passthrough=True)
    body.response = response
    return response


def given_id() -> str | None:
    """The id of the last message that the client has, as it says; None for its first request."""
    value = request.headers.get("Last-Event-ID")
    if value is not None:
        value = value.encode("latin-1", "replace").decode("utf-8", "replace")
    for parameter in PARAMETERS:
        value = value or request.args.get(parameter)
    return value or None


class HeldBody:
    """The body of a response that holds channels.

    Carboy's own server calls `answer_later`, and no thread waits. Other servers iterate it, which
    keeps a thread.
    """

    def __init__(self, hold: Hold, retry: float, initial: list[Event], dumps: Any) -> None:
        self._hold = hold
        self._retry = retry
        self._initial = initial
        self._dumps = dumps
        self._outlet: QueueOutlet | None = None
        self.response: Response | None = None

    def answer_later(
        self, exchange: Exchange, status: str, headers: list[tuple[str, str]]
    ) -> Answer:
        """Keep the connection of this exchange; returns LATER."""
        self._take_close()
        server: Any = exchange
        if exchange.head.upgrade and (answer := self._websocket(server, headers)) is not None:
            return answer
        outlet = StreamOutlet(self._hold, status, headers, self._stream())
        return server.later(outlet)  # type: ignore[no-any-return]

    def _websocket(self, exchange: Any, headers: list[tuple[str, str]]) -> Answer | None:
        """The answer to a handshake; None if the request is not one."""
        outlet = WebSocketOutlet(self._hold, self._frames())
        socket = exchange.websocket(outlet.changed)
        if socket is None or isinstance(socket, tuple):
            return socket
        kept = [each for each in headers if each[0].lower() not in OF_STREAMS]
        outlet.accept(socket, kept)
        return exchange.later(socket)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[bytes]:
        self._take_close()
        self._outlet = QueueOutlet(self._hold, self._stream())
        return iter(self._outlet)

    def close(self) -> None:
        """The server has finished with the response."""
        if self._outlet is not None:
            self._outlet.finish()

    def _stream(self) -> bytes:
        events = [Event(retry=int(1000 * self._retry)), *self._initial]
        return b"".join(encode(event, self._dumps) for event in events)

    def _frames(self) -> list[bytes]:
        """The first frames of a WebSocket."""
        frames = []
        for each in self._initial:
            data = as_data(each.data, self._dumps)
            message = Message(self._hold.channels[0], data, each.event, each.id or "")
            frames.append(Encoded(message).frame)
        return frames

    def _take_close(self) -> None:
        """Have the functions of `call_on_close` called when the hold has ended."""
        response, self.response = self.response, None
        if response is not None and response._on_close:
            functions = list(response._on_close)
            self._hold.hooks.close = lambda: [function() for function in functions]
