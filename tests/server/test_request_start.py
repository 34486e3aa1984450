"""X-Request-Start: the formats of proxies, and who may send it."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.server.request_start import LONGEST, read_start
from live_engine import eventually, hello, served

PATIENCE = 60.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000123", 1700000000.123),  # Heroku
        ("t=1700000000.123", 1700000000.123),  # nginx
        ("t=1700000000123456", 1700000000.123456),  # Apache
        ("1700000000123456789", 1700000000.123456789),
        (" t=1700000000 ", 1700000000.0),
    ],
)
def test_the_formats_of_proxies_are_read(text: str, seconds: float) -> None:
    found = read_start(text)
    assert found is not None
    assert abs(found - seconds) < 0.001


@pytest.mark.parametrize("text", ["", "t=", "yesterday", "-1700000000", "12345", "t=1e12", "1,2"])
def test_other_values_say_nothing(text: str) -> None:
    assert read_start(text) is None


@given(st.floats(1.1e9, 9e9), st.sampled_from([1.0, 1e3, 1e6, 1e9]))
def test_the_unit_is_known_by_the_size(seconds: float, unit: float) -> None:
    found = read_start(f"t={round(seconds * unit)}")
    assert found is not None
    assert abs(found - seconds) <= 1.0


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    found = read_start(text)
    assert found is None or found > 0


def queued(ago: float | None, **settings: Any) -> float:
    """The seconds that a request has waited that was sent `ago` seconds before, as it says."""
    found: list[float] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found.append(environ["carboy.exchange"].queued_seconds)
        return hello(environ, start_response)

    with served(app, **settings) as live:
        fields = {} if ago is None else {"X-Request-Start": f"t={time.time() - ago:.3f}"}
        assert live.get("/", **fields).status == 200
    return found[0]


TRUSTED = {"trusted_proxies": ("127.0.0.1",)}


def test_the_time_at_a_trusted_proxy_is_a_part_of_the_queue_time() -> None:
    assert 5.0 <= queued(5.0, **TRUSTED) < 5.0 + PATIENCE


@pytest.mark.parametrize("trusted", ["none", "application", "192.0.2.1"])
def test_the_field_of_another_peer_is_ignored(trusted: str) -> None:
    assert queued(300.0, trusted_proxies=(trusted,)) < 300.0


def test_a_request_without_the_field_has_only_waited_here() -> None:
    assert queued(None, **TRUSTED) < PATIENCE


@pytest.mark.parametrize("ago", [-1000.0, LONGEST + 1000.0])
def test_the_time_of_a_wrong_clock_is_ignored(ago: float) -> None:
    assert queued(ago, **TRUSTED) < LONGEST


def test_the_time_at_the_proxy_counts_for_the_queue_timeout() -> None:
    go = threading.Event()
    running: list[None] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        running.append(None)
        assert go.wait(PATIENCE)
        return hello(environ, start_response)

    with served(app, threads=2, queue_timeout=400.0, **TRUSTED) as live, ExitStack() as clients:
        clients.callback(go.set)
        live.engine.dispatch_times.averages["GET /"] = 1.0  # it gets threads from the start
        live.engine.dispatch_times.next_trial = float("inf")
        for _ in range(2):
            clients.enter_context(live.client()).request("GET", "/")
        eventually(lambda: len(running) == 2)
        waiting = clients.enter_context(live.client())
        waiting.request("GET", "/")
        started = f"t={time.time() - 399.9:.3f}"
        assert live.get("/", **{"X-Request-Start": started}).status == 503
        go.set()
        assert waiting.reply().status == 200
