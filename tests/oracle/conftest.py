"""Whole applications built twice, on Flask and on Carboy, and asked the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from scenarios import Pair


@pytest.fixture(scope="session")
def pair() -> Pair:
    return Pair()


@pytest.fixture(autouse=True)
def quiet_loggers() -> Iterator[None]:
    """The applications of all tests share loggers by their names."""
    logger = logging.getLogger("scenario")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    yield
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant time, so that signed cookies are the same everywhere."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
