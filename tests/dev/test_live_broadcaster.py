"""The broadcaster of the live page: the events of a stream, and its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from carboy.dev.live import Broadcaster, Failure, broadcaster


def heard(event: bytes) -> tuple[str, Any]:
    kind, data = event.decode().strip().split("\n")
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def listening(to: Broadcaster) -> Iterator[bytes]:
    """A stream after its hello event."""
    stream = to.listen()
    assert heard(next(stream))[0] == "hello"
    return stream


def test_every_stream_gets_the_events() -> None:
    broadcaster = Broadcaster("g1")
    streams = [listening(broadcaster), listening(broadcaster)]
    broadcaster.publish("page")
    broadcaster.publish("style", ["/app/static/site.css"])
    broadcaster.publish("error", failure=Failure("KeyError: 'a'", "Traceback"))
    for stream in streams:
        assert heard(next(stream))[0] == "page"
        kind, told = heard(next(stream))
        assert (kind, told["paths"]) == ("style", ["/app/static/site.css"])
        assert heard(next(stream)) == ("failure", {"title": "KeyError: 'a'", "text": "Traceback"})


def test_the_hello_of_a_late_stream_has_the_current_state() -> None:
    broadcaster = Broadcaster("g1")
    broadcaster.publish("page")
    broadcaster.publish("style")
    _, told = heard(next(broadcaster.listen()))
    assert (told["page"], told["style"]) == (1, 1)


def test_close_ends_open_and_later_streams() -> None:
    broadcaster = Broadcaster("g1")
    stream = listening(broadcaster)
    broadcaster.close()
    assert list(stream) == []
    assert list(listening(broadcaster)) == []


def test_close_ends_a_waiting_stream() -> None:
    broadcaster = Broadcaster("g1")
    stream = listening(broadcaster)
    rest: list[bytes] = []
    waiting = threading.Thread(target=lambda: rest.extend(stream))
    waiting.start()
    broadcaster.close()
    waiting.join(20)
    assert not waiting.is_alive()
    assert rest == []


def test_the_oldest_stream_ends_when_there_are_too_many() -> None:
    live = Broadcaster("g1")
    streams = [live.listen(browser=str(n)) for n in range(broadcaster.STREAMS + 1)]
    for stream in streams:
        next(stream)
    assert [heard(event)[0] for event in streams[0]] == ["full"]
    live.publish("page")
    assert heard(next(streams[1]))[0] == heard(next(streams[-1]))[0] == "page"


def test_one_browser_does_not_use_up_its_connections() -> None:
    """A browser opens six connections to a host, and pages need some of them."""
    live = Broadcaster("g1")
    other = live.listen(browser="other")
    next(other)
    streams = [listening(live) for _ in range(broadcaster.STREAMS_OF_ONE + 1)]
    assert [heard(event)[0] for event in streams[0]] == ["full"]
    live.publish("page")
    assert {heard(next(stream))[0] for stream in [other, *streams[1:]]} == {"page"}


def test_a_closed_stream_makes_room_for_another() -> None:
    live = Broadcaster("g1")
    first = listening(live)
    for _ in range(broadcaster.STREAMS * 2):
        listening(live).close()  # type: ignore[attr-defined]
    live.publish("page")
    assert heard(next(first))[0] == "page"


def test_an_idle_stream_sends_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcaster, "HEARTBEAT", 0.001)
    assert next(listening(Broadcaster("g1"))).startswith(b":")


def test_only_the_event_error_takes_a_failure() -> None:
    with pytest.raises(ValueError, match="no event 'pages'"):
        Broadcaster("g1").publish("pages")
    with pytest.raises(ValueError, match="no other event takes it"):
        Broadcaster("g1").publish("error")
    with pytest.raises(ValueError, match="no other event takes it"):
        Broadcaster("g1").publish("page", failure=Failure("a", "b"))
