"""A resolver that does not answer holds requests for a limited time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from carboy.engine_url import parse
from carboy.shared import breaker, lookup, postgres_store, redis_store
from carboy.shared.errors import EngineUnavailable
from carboy.shared.lookup import look_up
from carboy.shared.postgres_store import hosts
from carboy.shared.stores import store_at
from running import PATIENCE

NAME = "engine.test"


class Resolver:
    """Answers for NAME when it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked: list[str] = []
        self.error: Exception | None = None

    def getaddrinfo(self, host: Any, *args: Any, **options: Any) -> Any:
        if host != NAME:
            return real(host, *args, **options)
        self.asked.append(host)
        assert self.answers.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return real("127.0.0.1", *args, **options)


real = socket.getaddrinfo


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    yield found
    found.answers.set()
    for each in threading.enumerate():
        if each.name == "carboy-lookup":
            each.join(PATIENCE)


def test_a_lookup_ends_after_its_time_and_a_later_one_succeeds(resolver: Resolver) -> None:
    with pytest.raises(TimeoutError, match=r"'engine.test' was not resolved within 0\.01 s"):
        look_up(NAME, 0.01)
    resolver.answers.set()
    look_up(NAME, PATIENCE)
    assert not lookup._running


def test_all_threads_wait_for_one_lookup(resolver: Resolver) -> None:
    for _ in range(5):
        with pytest.raises(TimeoutError):
            look_up(NAME, 0.01)
    assert resolver.asked == [NAME]
    resolver.answers.set()


def test_the_error_of_the_resolver_is_passed_on(resolver: Resolver) -> None:
    resolver.error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure")
    resolver.answers.set()
    with pytest.raises(OSError, match="Temporary failure"):
        look_up(NAME, PATIENCE)


@pytest.mark.parametrize("host", ["", "127.0.0.1", "::1", "fe80::1%eth0", "/run/postgresql", "@a"])
def test_an_address_is_not_looked_up(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    look_up(host, 0.0)


def test_a_text_that_cannot_be_a_name_is_an_error() -> None:
    with pytest.raises(OSError, match="label"):
        look_up("a" * 64 + ".test", PATIENCE)


def test_a_process_that_cannot_start_threads_leaves_the_lookup_to_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    look_up(NAME, 0.0)
    assert not lookup._running


@pytest.mark.parametrize("scheme", ["redis", "rediss", "postgresql"])
def test_a_store_waits_once_for_a_resolver_that_does_not_answer(
    scheme: str, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (redis_store, postgres_store):
        monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.3)  # more than LATE of the breaker
    monkeypatch.setattr(breaker, "PAUSE", PATIENCE)
    store = store_at(f"{scheme}://{NAME}/0")
    with pytest.raises(EngineUnavailable, match="was not resolved within 0.3 s"):
        store.get("a")
    with pytest.raises(EngineUnavailable, match="did not answer in time a moment ago"):
        store.get("a")
    assert resolver.asked == [NAME]
    store.close()


def test_channels_on_redis_wait_as_long(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "CONNECT_TIMEOUT", 0.01)
    client = redis_store.client_of(parse(f"redis://{NAME}/0"), again=0)
    with pytest.raises(redis_store.redis.TimeoutError, match="was not resolved"):
        client.ping()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://a,b:5433/shop", ["a", "b"]),
        ("postgresql:///shop?host=/run/postgresql", ["/run/postgresql"]),
        ("postgresql://a/shop?hostaddr=127.0.0.1", []),
        ("postgresql:///shop", ["set.test"]),
    ],
)
def test_the_hosts_of_a_postgresql_url_are_known(
    url: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "set.test")
    assert hosts(url) == found
