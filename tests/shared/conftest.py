"""Stores on real engines, which start when a test first needs them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from carboy.shared.store import Store
from carboy.shared.stores import store_at
from engine_servers import NatsServer, RedisServer, nats_server, redis_server
from postgres_server import Postgres, postgres_server

ENGINES = ("memory", "redis", "postgresql")
numbers = itertools.count()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def nats() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of each engine in turn."""
    return "memory:" if request.param == "memory" else request.getfixturevalue(request.param).url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store on each engine in turn. Tests use keys of their own (`fresh`)."""
    found = store_at(url)
    yield found
    found.close()


@pytest.fixture
def fresh() -> str:
    """A prefix of keys that no other test uses."""
    return f"test{next(numbers)}:"
