"""The lines that allocate memory while a worker is traced."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from carboy.server.admin.memory_trace import traced


def stepwise(first: Callable[[], object], second: Callable[[], object]) -> Callable[[], str]:
    """A function for `traced` that ends both halves at once, after something was done in each."""
    steps = iter((first, second))

    def over() -> str:
        next(steps)()
        return "Enough."

    return over


def found(result: dict[str, Any], text: str) -> dict[str, Any]:
    lines = [each for each in result["lines"] if text in each["text"]]
    return dict(max(lines, key=lambda each: int(each["bytes"])))


def test_the_memory_that_is_held_and_that_has_grown_is_shown_by_line() -> None:
    once: list[bytearray] = []
    leak: list[bytearray] = []

    def first() -> None:
        once.extend(bytearray(50_000) for _ in range(10))
        leak.extend(bytearray(10_000) for _ in range(10))

    def second() -> None:
        leak.extend(bytearray(20_000) for _ in range(5))  # second half
        bytearray(1_000_000)

    result = traced(600.0, stepwise(first, second))
    (held,) = [each for each in result["lines"] if "bytearray(50_000)" in each["text"]]
    assert 500_000 <= held["bytes"] < 600_000 and held["grown"] == 0
    grown = found(result, "# second half")
    assert 100_000 <= grown["grown"] < 120_000 and grown["grown_count"] >= 5
    assert result["lines"].index(grown) < result["lines"].index(held)
    assert "1_000_000" not in "".join(each["text"] for each in result["lines"])
    assert result["ended"] == "Enough." and result["grown"] < 300_000 < result["bytes"]


def test_memory_that_a_library_allocates_is_shown_with_the_line_of_the_application() -> None:
    import json

    kept: list[Any] = []

    def first() -> None:
        kept.append(json.loads(f'["{"x" * 100_000}"]'))  # the line of the application

    line = found(traced(600.0, stepwise(first, lambda: None)), "# the line of the application")
    assert line["file"].endswith("decoder.py") and line["own"]["file"] == __file__


def test_tracemalloc_is_off_afterwards() -> None:
    traced(600.0, stepwise(lambda: None, lambda: None))
    assert not tracemalloc.is_tracing()


def test_a_failure_leaves_tracemalloc_off() -> None:
    def fails() -> str:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        traced(600.0, fails)
    assert not tracemalloc.is_tracing()


def test_tracemalloc_stays_on_if_the_application_has_switched_it_on() -> None:
    tracemalloc.start()
    try:
        before = [bytearray(70_000)]
        result = traced(600.0, stepwise(lambda: None, lambda: None))
        assert tracemalloc.is_tracing() and result["since_start"]
        assert found(result, "before = [bytearray(70_000)]")["bytes"] > 70_000
        assert before
    finally:
        tracemalloc.stop()
