"""Records the response of an application, in whichever way it answers.

    an Answer with bytes           recorded at once
    an Answer with an iterable     recorded while its pieces are sent
    `exchange.answer`              recorded at once
    a channel                      recorded by a channel in between
    `exchange.start` (write)       not recorded

A recording ends exactly once: with the complete response, or without one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from carboy.gateway.interface import ANSWERED, LATER, Answer, ChannelClosed, LaterBody, is_file_body

log = logging.getLogger("carboy.error")

Headers = list[tuple[str, str]]
# Called with status, header fields and content; the content is None if it is not known.
Ended = Callable[[str, Headers, "bytes | None"], object]
# May change the head of a response before it is sent.
Changes = Callable[[str, Headers], Headers]
# Called with the status of a response before it is sent; another answer instead, or None.
Instead = Callable[[str], "tuple[str, Headers, bytes] | None"]


class Recording:
    """The recording of one response; content above `largest` bytes is not recorded."""

    __slots__ = ("_changes", "_ended", "_headers", "_largest", "_pieces", "_size", "_status",
                 "instead", "is_over")  # fmt: skip

    def __init__(self, largest: int, changes: Changes, ended: Ended, instead: Instead) -> None:
        self._largest = largest
        self._changes = changes
        self._ended = ended
        self.instead = instead
        self._status = ""
        self._headers: Headers = []
        self._pieces: list[bytes] = []
        self._size = 0
        self.is_over = False

    def head(self, status: str, headers: Headers) -> Headers:
        """The response begins; returns the header fields to send."""
        self._status, self._headers = status, list(headers)
        return self._changes(status, headers)

    def has_begun(self) -> bool:
        """Whether the head of the response is known."""
        return bool(self._status)

    def piece(self, data: bytes) -> None:
        """A piece of the content."""
        self._size += len(data)
        if self._size <= self._largest:
            self._pieces.append(data)
        elif self._pieces:
            self._pieces.clear()

    def complete(self) -> None:
        """The response has come to its end."""
        if not self.is_over:
            self.is_over = True
            whole = self._size <= self._largest
            self._ended(self._status, self._headers, b"".join(self._pieces) if whole else None)

    def give_up(self) -> None:
        """The response is not recorded."""
        if not self.is_over:
            self.is_over = True
            self._ended(self._status, self._headers, None)

    def whole(self, status: str, headers: Headers, body: bytes) -> tuple[str, Headers, bytes]:
        """A complete response; returns the response to send."""
        other = self.instead(status)
        if other is not None:
            self._status = status
            self.give_up()
            return other
        sent = self.head(status, headers)
        self.piece(body)
        self.complete()
        return status, sent, body


def record(exchange: Any, handle: Callable[[Any], Answer], recording: Recording) -> Answer:
    """The answer of `handle`, which is recorded now or later. Raises what `handle` raises."""
    later, answer, start = exchange.later, exchange.answer, exchange.start

    def answer_later(receiver: Any) -> Any:
        return later(RecordingReceiver(receiver, recording))

    def answer_now(status: str, headers: Headers, body: bytes) -> None:
        answer(*recording.whole(status, headers, body))

    def start_writing(status: str, headers: Headers) -> Any:
        recording.give_up()
        return start(status, headers)

    exchange.later, exchange.answer, exchange.start = answer_later, answer_now, start_writing
    try:
        made = handle(exchange)
    except BaseException:
        recording.give_up()
        raise
    finally:
        del exchange.later, exchange.answer  # `start` may still be called while pieces are made
    return made if made is LATER or made is ANSWERED else recorded(made, recording)


def recorded(made: Answer, recording: Recording) -> Answer:
    """The answer, recorded: at once, or while its pieces are sent."""
    status, headers, body, close = made
    if recording.is_over:
        return made
    if isinstance(body, bytes):
        return *recording.whole(status, headers, body), close
    other = recording.instead(status)
    if other is not None:
        recording.give_up()
        return *other, close
    if is_file_body(body) or isinstance(body, LaterBody):
        recording.give_up()
        return status, recording.head(status, headers), body, close
    sent = recording.head(status, headers)

    def end() -> None:
        recording.give_up()
        if close is not None:
            close()

    return status, sent, _pieces(body, recording), end


def _pieces(body: Iterable[bytes], recording: Recording) -> Iterator[bytes]:
    for data in body:
        recording.piece(bytes(data))
        yield data
    recording.complete()


class RecordingReceiver:
    """A Receiver that gives its application a channel which records."""

    def __init__(self, inner: Any, recording: Recording) -> None:
        self._inner = inner
        self._recording = recording
        self._channel: Any = None
        self.resumes = getattr(inner, "resumes", False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def begin(self, channel: Any) -> None:
        self._channel = channel
        self._inner.begin(RecordingChannel(channel, self._recording))

    def changed(self) -> None:
        if self._channel is not None and self._channel.gone:
            self._recording.give_up()
        self._inner.changed()


class RecordingChannel:
    """A channel that records what is sent through it."""

    def __init__(self, inner: Any, recording: Recording) -> None:
        self._inner = inner
        self._recording = recording
        self._replaced = False  # another response was sent, and this one is dropped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def whole(self, status: str, headers: Headers, body: bytes) -> None:
        self._inner.whole(*self._recording.whole(status, headers, body))

    def head(self, status: str, headers: Headers) -> None:
        if not self._is_replaced(status):
            self._inner.head(status, self._recording.head(status, headers))

    def _is_replaced(self, status: str) -> bool:
        """Send another response if there is one instead of a response with this status."""
        other = self._recording.instead(status)
        if other is None:
            return False
        self._replaced = True
        self._recording.give_up()
        self._inner.whole(*other)
        return True

    def send(self, piece: bytes) -> None:
        if self._replaced:
            return
        self._inner.send(piece)
        self._recording.piece(piece)

    def send_chunk(self, piece: bytes, chunk: bytes) -> None:
        if self._replaced:
            return
        self._inner.send_chunk(piece, chunk)
        self._recording.piece(piece)

    def file(self, status: str, headers: Headers, file: Any) -> None:
        if self._is_replaced(status):
            return
        headers = self._recording.head(status, headers)
        self._recording.give_up()
        self._inner.file(status, headers, file)

    def send_file(self, fd: int, offset: int, count: int) -> None:
        if self._replaced:
            return
        self._recording.give_up()
        self._inner.send_file(fd, offset, count)

    def finish(self, trailers: Headers | None = None) -> None:
        if self._replaced:
            return
        self._inner.finish(trailers)
        if trailers:
            self._recording.give_up()
        else:
            self._recording.complete()

    def cut(self) -> None:
        self._recording.give_up()
        self._inner.cut()

    def fail(self, error: BaseException) -> None:
        other = None if self._recording.has_begun() else self._recording.instead("500")
        self._recording.give_up()
        if other is None or not self._inner.open:
            self._inner.fail(error)
            return
        log.error("The application failed, and an older response was sent.", exc_info=error)
        try:
            self._inner.whole(*other)
        except ChannelClosed:
            pass  # the client has gone

    def upgrade(self, status: str, headers: Headers) -> None:
        self._recording.give_up()
        self._inner.upgrade(status, headers)

    def resume(self, continuation: Callable[[Any], Answer]) -> None:
        recording = self._recording
        self._inner.resume(lambda exchange: record(exchange, continuation, recording))
