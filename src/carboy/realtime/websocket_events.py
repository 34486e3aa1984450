"""Handlers that hold no thread between two messages: callbacks and generators.

    def echo(ws):                    def echo(ws):
        @ws.on_message                   while True:
        def received(message):               message = yield
            ws.send(message)                 ws.send(message)

A thread runs the callback of a connection, or its generator up to the next `yield`, while there
are messages: one thread at a time for each connection, and messages in their order.

    state     the thread that has a turn      the leader (`changed`)
    WAITING   none                            begins a turn: RUNNING
    RUNNING   takes messages                  AGAIN
    AGAIN     looks once more: RUNNING        nothing
    ENDED     none                            nothing

`_lock` guards the state only. A change that comes while a turn is about to end is not lost: a turn
only ends if the state is RUNNING, and such a change has set AGAIN.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextvars import Context
from enum import Enum, auto
from types import FrameType, GeneratorType
from typing import Any

from carboy.realtime.websocket import WebSocket
from carboy.realtime.websocket_link import ConnectionClosed, Link
from carboy.realtime.websocket_threads import WebSocketThreads
from carboy.request_identity import identity, runners

End = Callable[[Any, BaseException | None, Callable[[], None]], None]
MESSAGES_A_TURN = 16  # of one connection, before those of others


class State(Enum):
    """Whether a thread has a turn of a connection, see above."""

    WAITING = auto()
    RUNNING = auto()
    AGAIN = auto()
    ENDED = auto()


class Events:
    """The messages of one connection, given to `consumer`.

    `end` is called after the last one with a value, an error, and what the consumer does once the
    connection is closed.
    """

    __slots__ = ("_consumer", "_context", "_end", "_link", "_lock", "_state", "_threads")

    def __init__(
        self,
        consumer: Callbacks | Generated,
        link: Link,
        threads: WebSocketThreads,
        context: Context,
        end: End,
    ) -> None:
        self._consumer = consumer
        self._link = link
        self._threads = threads
        self._context = context
        self._end = end
        self._lock = threading.Lock()
        self._state = State.RUNNING

    @classmethod
    def of(
        cls,
        ws: WebSocket,
        value: Any,
        link: Link,
        threads: WebSocketThreads,
        context: Context,
        end: End,
    ) -> Events | None:
        """The events of a handler that has returned `value`; None if it is finished."""
        consumer: Callbacks | Generated
        if isinstance(value, GeneratorType):
            consumer = Generated(ws, value)
        elif value is None and (ws._on_message is not None or ws._on_close):
            consumer = Callbacks(ws)
        else:
            return None
        return cls(consumer, link, threads, context, end)

    def begin(self) -> bool:
        """Begin, on the thread of the handler, in the context of the request.

        Returns whether it goes on; `run` has to be called then, outside the context.
        """
        try:
            value = self._consumer.begin()
            if not self._consumer.ended:
                self._link.ensure_accepted()
        except BaseException as error:
            self._finish(None, error)
            return False
        if self._consumer.ended:
            self._finish(value, None)
            return False
        self._link.listener = self.changed
        return True

    def changed(self) -> None:
        """Begin a turn unless there is one. Any thread may call this."""
        with self._lock:
            if self._state is not State.WAITING:
                if self._state is State.RUNNING:
                    self._state = State.AGAIN
                return
            self._state = State.RUNNING
        self._threads.submit(self.run)

    def run(self) -> None:
        """Run turns until there is nothing to do.

        The state changes when the thread has left the context, because the next turn may begin
        on another thread at once.
        """
        while True:
            more = self._context.run(self._turn)
            if self._state is State.ENDED:
                return
            if more:
                self._threads.submit(self.run)  # other connections first
                return
            with self._lock:
                stops = self._state is State.RUNNING
                self._state = State.WAITING if stops else State.RUNNING
            if stops:
                return

    def _turn(self) -> bool:
        """Give messages to the consumer; returns whether more may have come already."""
        try:
            for _ in range(MESSAGES_A_TURN):
                message = None if self._waits_for_room() else self._link.take()
                if message is None:
                    return False
                self._consumer.message(message)
                if self._consumer.ended:
                    self._finish(None, None)
                    return False
        except BaseException as error:
            self._finish(None, error)
        return True

    def _waits_for_room(self) -> bool:
        """Whether the client does not take what is sent: then its messages wait as well."""
        transport = self._link.transport
        return transport.full and transport.closed is None

    def _finish(self, value: Any, error: BaseException | None) -> None:
        with self._lock:
            self._state = State.ENDED
        self._end(value, error, self._consumer.close)


class Callbacks:
    """`ws.on_message` and `ws.on_close`."""

    __slots__ = ("_ws",)

    ended = False  # only the connection ends them

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws

    def begin(self) -> None:
        """Nothing: the handler has returned."""

    def message(self, message: str | bytes) -> None:
        """Call the function for messages; without one, they are dropped."""
        if self._ws._on_message is not None:
            self._ws._app.ensure_sync(self._ws._on_message)(message)

    def close(self) -> None:
        """The connection has ended."""
        for function in self._ws._on_close:
            self._ws._app.ensure_sync(function)()


class Generated:
    """A generator: it gets each message from `yield`, and sends what it yields."""

    __slots__ = ("_generator", "_ws", "ended")

    def __init__(self, ws: WebSocket, generator: Generator[Any, Any, Any]) -> None:
        self.ended = False
        self._ws = ws
        self._generator = generator

    def begin(self) -> Any:
        """Run it up to its first `yield`; returns what it returns if it has none."""
        return self._step(lambda: next(self._generator))

    def message(self, message: str | bytes) -> None:
        """Continue it with a message."""
        self._step(lambda: self._generator.send(message))

    def close(self) -> None:
        """The connection has ended: `yield` raises ConnectionClosed."""
        if self.ended:
            return
        self.ended = True
        try:
            self._generator.throw(self._ws._link.closed_error())
        except (ConnectionClosed, StopIteration):
            pass
        finally:
            self._generator.close()

    def _step(self, step: Callable[[], Any]) -> Any:
        try:
            value = step()
        except StopIteration as stop:
            self.ended = True
            return stop.value
        except BaseException:
            self.ended = True
            raise
        if value is not None:
            self._ws.send(value)
        return None


def _exchange_of(frame: FrameType) -> Any:
    """The request of a turn; its thread has entered the context, so this looks in a copy."""
    return frame.f_locals["self"]._context.copy().run(identity)


runners[Events.run.__code__] = _exchange_of
