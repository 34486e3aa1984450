"""Engines on other systems, which start when a test first needs them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from engine_servers import nats_server, redis_server
from postgres_server import postgres_server

ENGINES = ("redis", "postgresql", "nats")
numbers = itertools.count()


@pytest.fixture(scope="session")
def redis() -> Iterator[Any]:
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def nats() -> Iterator[Any]:
    with nats_server() as server:
        yield server


@pytest.fixture(params=ENGINES)
def server(request: pytest.FixtureRequest) -> Any:
    """The server of each engine in turn. It runs before and after a test."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def url(server: Any) -> str:
    """A URL with a prefix that no other test uses."""
    return f"{server.url}{'&' if '?' in server.url else '?'}prefix=test{next(numbers)}"
