"""Sends the pieces of an async iterator, on the event loop of the process.

    the leader                    Pump.begin, changed, stopping: they only post calls to the loop
    the loop                      runs the iterator, sends its pieces through the channel
    a thread of the server        Pump._end: closes the response and pops its contexts, as after
                                  any request

The channel is that of the request, or a Relay to a thread that waits, under other servers.

The iterator runs in one task, so that it may use timeouts and task groups around `yield`. When it
is to end early, the task is cancelled: asyncio.CancelledError is raised where the iterator waits,
and then it is closed.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Generator
from enum import Enum
from functools import partial
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any

from carboy.app.active import _cv
from carboy.app.loop import exchange_of_caller, running_here
from carboy.net import loop_watch
from carboy.net.worker_loop import look, worker_loop

if TYPE_CHECKING:
    from carboy.gateway.interface import Answer, Channel

OPEN = 0.05  # seconds after which the response begins even without a first piece
TURN = 0.005  # seconds after which other coroutines have their turn
CLOSING = 10.0  # seconds that a thread waits for the end of an iterator that it has closed


class Early(Enum):
    """Why an iterator ends early."""

    GONE = "the client has gone"
    STOPPING = "the server stops"


class Pump:
    """A Receiver of gateway.interface that sends an AsyncBody."""

    resumes = True

    def __init__(self, body: Any, context: contextvars.Context, answer: Answer) -> None:
        self._body = body
        self._context = context
        self._status, self._headers, _, self._close = answer
        self._first = body.first
        self._channel: Channel
        self._early: Early | None = None
        # only for the loop
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None  # the client takes more
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False
        self._sent_at = 0.0
        self._turn = 0.0  # loop's time: when other coroutines had their turn

    # --- on the thread that reads requests

    def begin(self, channel: Channel) -> None:
        """Have the loop run the iterator."""
        self._channel = channel
        worker_loop().call(self._start)

    def changed(self) -> None:
        """The client has taken bytes, or has gone."""
        if self._channel.gone:
            self._end_early(Early.GONE)
        else:
            worker_loop().call(self._wake)

    def stopping(self) -> None:
        """A graceful stop begins."""
        if self._body.ends_at_stop:
            self._end_early(Early.STOPPING)

    def _end_early(self, why: Early) -> None:
        if self._early is None:
            self._early = why
            worker_loop().call(self._cancel)

    # --- on the loop

    def _start(self) -> None:
        worker_loop().watch.learn(Pump.run.__code__, _name_of, _exchange_of)
        loop = asyncio.get_running_loop()
        self._task = worker_loop().run_request(self.run(), self._context)
        self._task.add_done_callback(self._done)
        body = self._body
        if self._first or body.keep_alive:
            self._sent_at = loop.time()
            self._timer = loop.call_later(OPEN if self._first else body.keep_alive, self._tick)
        if self._early is not None:
            self._task.cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def run(self) -> None:
        """Send what the iterator gives, then close it."""
        source = aiter(self._body.source)
        try:
            async for piece in source:
                self._put(encoded(piece))
                await self._let_others_run()
        except asyncio.CancelledError:
            if self._early is None:
                raise  # by the application itself
        except ConnectionError:
            if not self._channel.gone:
                raise
            self._early = Early.GONE
        finally:
            if self._timer is not None:
                self._timer.cancel()
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()
        if self._early is Early.STOPPING and self._body.last:
            self._put(self._body.last)

    def _put(self, piece: bytes) -> None:
        piece = self._first + piece
        if not piece:
            return
        if not self._begun:
            self._channel.head(self._status, self._headers)
            self._begun = True
        self._first = b""
        self._sent_at = asyncio.get_running_loop().time()
        self._channel.send(piece)

    async def _let_others_run(self) -> None:
        channel = self._channel
        if self._sent_at - self._turn > TURN:
            await asyncio.sleep(0)
            self._turn = asyncio.get_running_loop().time()
        while channel.full and not channel.gone:
            self._room = asyncio.get_running_loop().create_future()
            # Looked at again: it may have changed before the future was there.
            if channel.full and not channel.gone:
                await self._room

    def _tick(self) -> None:
        """Begin the response, or show the client that it is still there."""
        loop = asyncio.get_running_loop()
        channel, body = self._channel, self._body
        left = body.keep_alive - (loop.time() - self._sent_at)
        if channel.gone or not channel.open:
            return
        if not channel.full and (self._first or left <= 0):
            try:
                self._put(b"" if self._first else body.filler)
            except ConnectionError:
                return  # the leader says so as well
            left = body.keep_alive
        if body.keep_alive:
            self._timer = loop.call_later(max(left, OPEN), self._tick)

    def _done(self, task: asyncio.Task[None]) -> None:
        early = self._early
        error = None if task.cancelled() else task.exception()
        if error is None and early is not Early.STOPPING:
            # No client gets the response, or the application has cancelled its own task.
            gone = early is Early.GONE and not self._begun
            if gone or (task.cancelled() and early is None):
                error = asyncio.CancelledError()
        self._body.error = error
        try:
            self._channel.resume(partial(self._end, error))
        except ConnectionError:  # the server has ended
            self._context.run(self._abandon)

    # --- on a thread of the server

    def _end(self, error: BaseException | None, exchange: Any) -> Answer:
        """The end of the response. Raises the error that has ended the iterator."""
        if error is None:
            return self._status, self._headers, (), self._close
        self.close()
        raise error

    def close(self) -> None:
        """Close the response."""
        if self._close is not None:
            self._close()

    def _abandon(self) -> None:
        try:
            self.close()
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "The end of a streamed response failed.", "exception": error}
            )

    def exchange(self) -> Any:
        """The exchange of the request; None under other servers."""
        return exchange_of_caller(self._context.get(_cv))

    def name(self) -> str:
        """The name of the iterator in a log."""
        exchange = self.exchange()
        line = getattr(exchange, "request_line", None)
        name = getattr(self._body.source, "__qualname__", type(self._body.source).__name__)
        return f"{line()}: {name}()" if line is not None else f"{name}()"


def _exchange_of(frame: FrameType) -> Any:
    pump: Pump = frame.f_locals["self"]
    return pump.exchange()


def _name_of(frame: FrameType) -> str:
    pump: Pump = frame.f_locals["self"]
    return pump.name()


def encoded(piece: Any) -> bytes:
    """A piece of a body as bytes. Raises TypeError for anything but text and bytes."""
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, bytearray | memoryview):
        return bytes(piece)
    raise TypeError(
        f"The pieces of a response are text or bytes, not {type(piece).__name__}. For values as"
        " events use carboy.sse()."
    )


# --- for a thread that waits


class Relay:
    """The channel of a body whose pieces a thread takes one by one."""

    def __init__(self) -> None:
        self.open = True
        self.gone = False
        self.full = False
        self.pieces: SimpleQueue[bytes | None] = SimpleQueue()

    def head(self, status: str, headers: Any) -> None:
        """The server sends it."""

    def send(self, piece: bytes) -> None:
        """Give the thread a piece."""
        self.full = True
        self.pieces.put(piece)

    def resume(self, continuation: Any) -> None:
        """The iterator has ended."""
        self.open = False
        self.pieces.put(None)


def pieces(body: Any) -> Generator[bytes, None, None]:
    """The pieces of a body, for which this thread waits.

    Raises RuntimeError on the loop, which would wait for itself.
    """
    if running_here() is worker_loop().start():
        raise RuntimeError(
            "The body of this response is an async iterator, and the event loop cannot wait for it."
            " Use `async for` instead."
        )
    relay: Any = Relay()
    pump = Pump(body, contextvars.copy_context(), ("", [], (), None))
    exchange = exchange_of_caller(_cv.get())
    pump.begin(relay)
    try:
        while (piece := _next(relay, pump, exchange)) is not None:
            yield piece
            relay.full = False
            pump.changed()
    finally:
        if relay.open:
            relay.gone = True
            pump.changed()
            _wait_for_the_end(relay)
        body.pop_contexts()
    if body.error is not None:
        raise body.error


def _next(relay: Relay, pump: Pump, exchange: Any) -> bytes | None:
    """The next piece, or None after the last one; notices a client that has gone."""
    while True:
        try:
            return relay.pieces.get(timeout=loop_watch.LOOK)
        except Empty:
            look()
            # This thread owns the connection while it makes the response, so it may check it.
            has_left = getattr(exchange, "has_left", None)
            if has_left is not None and not relay.gone and has_left():
                relay.gone = True
                pump.changed()


def _wait_for_the_end(relay: Relay) -> None:
    try:
        while relay.pieces.get(timeout=CLOSING) is not None:
            pass
    except Empty:
        pass
