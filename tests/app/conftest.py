"""Fixtures for the tests of the framework: scenarios on Flask and on both lanes of Carboy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from scenarios import Pair


@pytest.fixture(scope="session")
def pair() -> Pair:
    return Pair()


@pytest.fixture
def fl(pair: Pair) -> SimpleNamespace:
    """Carboy's names."""
    return pair.carboy


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed time, so that signed cookies are the same in both frameworks."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)


@pytest.fixture(autouse=True)
def quiet_loggers() -> Any:
    """Reset the loggers, which the applications of all tests share by name."""
    import logging

    logger = logging.getLogger("scenario")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    yield
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
