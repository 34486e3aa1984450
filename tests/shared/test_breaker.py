"""An engine that hangs is not waited for by every request."""

from __future__ import annotations

import socket

import pytest

from carboy.shared import breaker
from carboy.shared.breaker import LATE, PAUSE, Breaker
from carboy.shared.errors import EngineUnavailable
from carboy.shared.stores import store_at
from running import PATIENCE


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def use(engine: Breaker, clock: Clock, seconds: float, fails: bool = True) -> str:
    """Use an engine that needs so many seconds; the error, or ""."""
    try:
        with engine.attempt():
            clock.now += seconds
            if fails:
                raise EngineUnavailable("it is down")
    except EngineUnavailable as error:
        return str(error)
    return ""


def test_an_engine_that_hangs_is_tried_again_after_a_pause() -> None:
    clock = Clock()
    redis = Breaker("Redis", clock)
    assert use(redis, clock, LATE * 2) == "it is down"
    assert use(redis, clock, 0) == "Redis did not answer in time a moment ago."
    clock.now += PAUSE
    assert use(redis, clock, LATE * 2) == "it is down"
    clock.now += PAUSE
    assert use(redis, clock, LATE * 2, fails=False) == ""
    assert use(redis, clock, 0, fails=False) == ""


def test_one_thread_tries_while_the_others_fail_at_once() -> None:
    clock = Clock()
    redis = Breaker("Redis", clock)
    use(redis, clock, LATE * 2)
    clock.now += PAUSE
    with redis.attempt():
        clock.now += PAUSE * 10
        assert use(redis, clock, 0) == "Redis did not answer in time a moment ago."
    assert use(redis, clock, 0, fails=False) == ""


def test_an_engine_that_refuses_is_tried_each_time() -> None:
    clock = Clock()
    redis = Breaker("Redis", clock)
    for _ in range(3):
        assert use(redis, clock, 0) == "it is down"
    assert use(redis, clock, LATE * 2, fails=False) == ""


def test_an_attempt_that_is_interrupted_is_followed_by_another() -> None:
    clock = Clock()
    redis = Breaker("Redis", clock)
    use(redis, clock, LATE * 2)
    clock.now += PAUSE
    with pytest.raises(KeyboardInterrupt), redis.attempt():
        raise KeyboardInterrupt
    assert use(redis, clock, 0, fails=False) == ""


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_a_store_waits_once_for_a_server_that_does_not_answer(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "PAUSE", PATIENCE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        option = "?socket_timeout=0.3" if scheme == "redis" else ""
        store = store_at(f"{scheme}://127.0.0.1:{port}/0{option}")
        with pytest.raises(EngineUnavailable):
            store.get("a")
        with pytest.raises(EngineUnavailable, match="did not answer in time a moment ago"):
            store.get("a")
        store.close()
