"""The hub of the live page: what listeners are told, and when their streams end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from carboy.dev.live import Failure, Hub, hub


def heard(event: bytes) -> tuple[str, Any]:
    kind, data = event.decode().strip().split("\n")
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def listening(to: Hub) -> Iterator[bytes]:
    """A stream whose hello has been taken."""
    stream = to.listen()
    assert heard(next(stream))[0] == "hello"
    return stream


def test_everybody_is_told() -> None:
    hub = Hub("g1")
    streams = [listening(hub), listening(hub)]
    hub.publish("page")
    hub.publish("style", ["/app/static/site.css"])
    hub.publish("error", failure=Failure("KeyError: 'a'", "Traceback"))
    for stream in streams:
        assert heard(next(stream))[0] == "page"
        kind, told = heard(next(stream))
        assert (kind, told["paths"]) == ("style", ["/app/static/site.css"])
        assert heard(next(stream)) == ("failure", {"title": "KeyError: 'a'", "text": "Traceback"})


def test_who_comes_late_learns_from_the_hello_that_something_was_published() -> None:
    hub = Hub("g1")
    hub.publish("page")
    hub.publish("style")
    _, told = heard(next(hub.listen()))
    assert (told["page"], told["style"]) == (1, 1)


def test_a_closed_hub_ends_every_stream_and_those_to_come() -> None:
    hub = Hub("g1")
    stream = listening(hub)
    hub.close()
    assert list(stream) == []
    assert list(listening(hub)) == []


def test_closing_ends_a_stream_that_waits() -> None:
    hub = Hub("g1")
    stream = listening(hub)
    rest: list[bytes] = []
    waiting = threading.Thread(target=lambda: rest.extend(stream))
    waiting.start()
    hub.close()
    waiting.join(20)
    assert not waiting.is_alive()
    assert rest == []


def test_the_oldest_stream_ends_when_there_are_too_many() -> None:
    live = Hub("g1")
    streams = [live.listen(who=str(n)) for n in range(hub.STREAMS + 1)]
    for stream in streams:
        next(stream)
    assert [heard(event)[0] for event in streams[0]] == ["full"]
    live.publish("page")
    assert heard(next(streams[1]))[0] == heard(next(streams[-1]))[0] == "page"


def test_one_browser_does_not_use_up_its_connections() -> None:
    """A browser opens six to a host, and pages need some as well."""
    live = Hub("g1")
    other = live.listen(who="other")
    next(other)
    streams = [listening(live) for _ in range(hub.STREAMS_OF_ONE + 1)]
    assert [heard(event)[0] for event in streams[0]] == ["full"]
    live.publish("page")
    assert {heard(next(stream))[0] for stream in [other, *streams[1:]]} == {"page"}


def test_a_stream_that_was_closed_leaves_its_place() -> None:
    live = Hub("g1")
    first = listening(live)
    for _ in range(hub.STREAMS * 2):
        listening(live).close()  # type: ignore[attr-defined]
    live.publish("page")
    assert heard(next(first))[0] == "page"


def test_a_silent_stream_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "HEARTBEAT", 0.001)
    assert next(listening(Hub("g1"))).startswith(b":")


def test_events_and_failures_go_together_or_not_at_all() -> None:
    with pytest.raises(ValueError, match="no event 'pages'"):
        Hub("g1").publish("pages")
    with pytest.raises(ValueError, match="only with it"):
        Hub("g1").publish("error")
    with pytest.raises(ValueError, match="only with it"):
        Hub("g1").publish("page", failure=Failure("a", "b"))
