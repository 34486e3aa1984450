"""Feeds the machine whole, byte by byte and split at every position, and compares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from carboy.protocol import (
    Data,
    Event,
    Limits,
    Machine,
    RemoteProtocolError,
    RequestHead,
    Signal,
)

Outcome = list[tuple[Any, ...]]
ANSWER = ("200 OK", [("Content-Type", "text/plain")], b"ok", b"")
# Above this size not every position is tried, but the first and last ones and a sample.
EVERY_POSITION = 600


def describe(head: RequestHead) -> tuple[Any, ...]:
    return (
        "head",
        head.method,
        head.target,
        head.path,
        head.query,
        head.minor,
        head.host,
        tuple(head.fields()),
        head.content_length,
        head.chunked,
        head.keep_alive,
        head.expect_continue,
        head.upgrade,
        head.has_body,
    )


class Recorder:
    """Drives a connection as an engine does, answering each request when it is complete."""

    def __init__(self, limits: Limits, early_answers: bool = False) -> None:
        self.connection = Machine(limits)
        self.outcome: Outcome = []
        self.early_answers = early_answers
        self.over = False

    def feed(self, data: bytes) -> None:
        try:
            event = self.connection.receive(data)
            while self.take(event):
                event = self.connection.next_event()
        except RemoteProtocolError as error:
            self.outcome.append(("error", error.status, error.message))
            assert self.connection.must_close
            self.over = True

    def take(self, event: Event) -> bool:
        if isinstance(event, RequestHead):
            self.outcome.append(describe(event))
            if not event.has_body:
                self.answer()
        elif isinstance(event, Data):
            assert event.data, "a piece of a body is never empty"
            if self.outcome[-1][0] == "body":
                self.outcome[-1] = ("body", self.outcome[-1][1] + event.data)
            else:
                self.outcome.append(("body", event.data))
        elif event is Signal.END_OF_MESSAGE:
            self.outcome.append(("end",))
            self.answer()
        elif event is Signal.CLOSED:
            if not self.over:
                self.outcome.append(("closed",))
            self.over = True
            return False
        elif event is Signal.NEED_DATA:
            return False
        else:
            raise AssertionError(f"{event} while nothing is answered late")
        return True

    def answer(self) -> None:
        data = self.connection.whole_response(*ANSWER)
        self.outcome.append(("answer", data))


def play(pieces: Iterable[bytes], limits: Limits, eof: bool = False) -> Outcome:
    recorder = Recorder(limits)
    for piece in pieces:
        if piece:
            recorder.feed(piece)
    if eof:
        recorder.feed(b"")
    return recorder.outcome


def splits(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    positions: Iterable[int] = range(1, len(data))
    if len(data) > EVERY_POSITION:
        step = len(data) // 50
        positions = sorted(
            {*range(1, 100), *range(len(data) - 100, len(data)), *range(1, len(data), step)}
        )
    for position in positions:
        yield data[:position], data[position:]


def outcome(data: bytes, limits: Limits | None = None, eof: bool = False) -> Outcome:
    """The result of feeding `data` to the machine, which does not depend on the pieces."""
    limits = limits or Limits()
    whole = play([data], limits, eof)
    single = play([data[i : i + 1] for i in range(len(data))], limits, eof)
    assert single == whole, "byte by byte"
    for parts in splits(data):
        assert play(parts, limits, eof) == whole, f"split after {parts[0][-40:]!r}"
    return whole


def refusal(data: bytes, limits: Limits | None = None) -> tuple[int, str]:
    """Status and message `data` is refused with, after which nothing else was read."""
    # What follows a refused request must never be read as one.
    result = outcome(data, limits)
    assert result, "nothing happened: neither a request nor a refusal"
    assert result[-1][0] == "error", result
    again = outcome(data + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", limits)
    assert [step for step in again if step[0] == "head" and "smuggled" in step[2]] == []
    return result[-1][1], result[-1][2]


def heads(result: Outcome) -> list[tuple[Any, ...]]:
    return [step for step in result if step[0] == "head"]


def body(result: Outcome) -> bytes:
    return b"".join(step[1] for step in result if step[0] == "body")


def accepted(data: bytes, limits: Limits | None = None) -> RequestHead:
    """The head of the one request that `data` is."""
    result = outcome(data, limits)
    assert [step[0] for step in result][:1] == ["head"], result
    event = Machine(limits or Limits()).receive(data)
    assert isinstance(event, RequestHead)
    assert describe(event) == result[0]
    return event
