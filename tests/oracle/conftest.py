"""Fixtures for whole applications that are built on Flask and on Carboy and compared."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from scenarios import SIGNALS, Pair


@pytest.fixture(scope="session")
def pair() -> Pair:
    return Pair()


@pytest.fixture(autouse=True)
def quiet_loggers() -> Iterator[None]:
    """Reset the loggers, which the applications of all tests share by name.

    No test looks at what is logged, and half of the time would go into texts of tracebacks.
    """
    logger = logging.getLogger("scenario")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    logger.disabled = True
    yield
    logger.disabled = False
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def no_receivers_left(pair: Pair) -> Iterator[None]:
    """Disconnect the receivers, some of which signals would keep for the tests of other modules."""
    yield
    for fl in (pair.flask, pair.carboy):
        for name in SIGNALS:
            getattr(fl, name)._clear_state()


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed time, so that signed cookies are the same in both frameworks."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
