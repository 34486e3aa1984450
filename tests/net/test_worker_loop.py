"""The event loop that everything in a worker shares."""

from __future__ import annotations

from importlib.machinery import PathFinder
from typing import Any

import pytest

from carboy.net import worker_loop
from carboy.net.worker_loop import hold, release, resolved


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests leave the loop of this process as it is."""
    monkeypatch.setattr(worker_loop, "_loops", {})
    monkeypatch.setattr(worker_loop, "_holders", {})
    monkeypatch.setattr(worker_loop, "_kind", "auto")


@pytest.fixture
def without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", lambda name: None)


def test_there_is_one_loop_in_a_process() -> None:
    assert hold("asyncio") == "asyncio"
    loop = worker_loop.worker_loop()
    assert worker_loop.worker_loop("asyncio") is loop
    hold("asyncio")
    assert worker_loop.worker_loop() is loop


def test_the_loop_ends_when_the_last_server_releases_it() -> None:
    hold("asyncio")
    hold("asyncio")
    loop = worker_loop.worker_loop()
    loop.start()
    release("asyncio", 5)
    assert loop.running
    release("asyncio", 5)
    assert not loop.running
    assert worker_loop.worker_loop() is not loop


def test_a_server_without_coroutines_starts_no_loop() -> None:
    release(hold("asyncio"), 5)
    assert not worker_loop._loops


@pytest.mark.usefixtures("without_uvloop")
def test_without_uvloop_the_loop_is_that_of_asyncio() -> None:
    assert resolved("auto") == "asyncio"
    assert type(worker_loop.worker_loop().start()).__module__.startswith("asyncio.")
    with pytest.raises(ValueError, match="pip install uvloop"):
        hold("uvloop")


def test_uvloop_is_used_if_it_is_installed() -> None:
    uvloop: Any = pytest.importorskip("uvloop")
    assert isinstance(worker_loop.worker_loop().start(), uvloop.Loop)
