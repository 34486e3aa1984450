"""The broadcaster of the live page: what listeners are told, and when their streams end."""

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
    """A stream whose hello has been taken."""
    stream = to.listen()
    assert heard(next(stream))[0] == "hello"
    return stream


def test_everybody_is_told() -> None:
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


def test_who_comes_late_learns_from_the_hello_that_something_was_published() -> None:
    broadcaster = Broadcaster("g1")
    broadcaster.publish("page")
    broadcaster.publish("style")
    _, told = heard(next(broadcaster.listen()))
    assert (told["page"], told["style"]) == (1, 1)


def test_a_closed_hub_ends_every_stream_and_those_to_come() -> None:
    broadcaster = Broadcaster("g1")
    stream = listening(broadcaster)
    broadcaster.close()
    assert list(stream) == []
    assert list(listening(broadcaster)) == []


def test_closing_ends_a_stream_that_waits() -> None:
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
    streams = [live.listen(who=str(n)) for n in range(broadcaster.STREAMS + 1)]
    for stream in streams:
        next(stream)
    assert [heard(event)[0] for event in streams[0]] == ["full"]
    live.publish("page")
    assert heard(next(streams[1]))[0] == heard(next(streams[-1]))[0] == "page"


def test_one_browser_does_not_use_up_its_connections() -> None:
    """A browser opens six to a host, and pages need some as well."""
    live = Broadcaster("g1")
    other = live.listen(who="other")
    next(other)
    streams = [listening(live) for _ in range(broadcaster.STREAMS_OF_ONE + 1)]
    assert [heard(event)[0] for event in streams[0]] == ["full"]
    live.publish("page")
    assert {heard(next(stream))[0] for stream in [other, *streams[1:]]} == {"page"}


def test_a_stream_that_was_closed_leaves_its_place() -> None:
    live = Broadcaster("g1")
    first = listening(live)
    for _ in range(broadcaster.STREAMS * 2):
        listening(live).close()  # type: ignore[attr-defined]
    live.publish("page")
    assert heard(next(first))[0] == "page"


def test_a_silent_stream_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcaster, "HEARTBEAT", 0.001)
    assert next(listening(Broadcaster("g1"))).startswith(b":")


def test_events_and_failures_go_together_or_not_at_all() -> None:
    with pytest.raises(ValueError, match="no event 'pages'"):
        Broadcaster("g1").publish("pages")
    with pytest.raises(ValueError, match="only with it"):
        Broadcaster("g1").publish("error")
    with pytest.raises(ValueError, match="only with it"):
        Broadcaster("g1").publish("page", failure=Failure("a", "b"))
