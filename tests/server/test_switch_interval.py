"""The interpreter's switch interval is restored when the last engine ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from carboy.server import switch_interval as module
from carboy.server.switch_interval import briefly, switch_interval
from live_engine import hello, served


@pytest.fixture(autouse=True)
def interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.007)
    yield
    sys.setswitchinterval(before)


def now() -> float:
    return round(sys.getswitchinterval(), 6)


def test_an_engine_restores_the_interval() -> None:
    with served(hello, switch_interval=0.001) as live:
        live.get()
        assert now() == 0.001
    assert now() == 0.007


def test_an_engine_without_an_interval_changes_nothing() -> None:
    with served(hello, switch_interval=None) as live:
        live.get()
        assert now() == 0.007
    assert now() == 0.007


@pytest.mark.parametrize("wishes", [(0.001, 0.001), (0.001, 0.002)])
def test_the_last_of_two_engines_restores_the_interval(wishes: tuple[float, float]) -> None:
    first, second = (switch_interval(wish) for wish in wishes)
    first.__enter__()
    second.__enter__()
    assert now() == wishes[1]
    first.__exit__(None, None, None)
    assert now() == wishes[1]
    second.__exit__(None, None, None)
    assert now() == 0.007


def test_the_interval_of_the_outer_engine_applies_again_after_the_inner_one() -> None:
    with switch_interval(0.001):
        with switch_interval(0.002):
            assert now() == 0.002
        assert now() == 0.001
    assert now() == 0.007


def test_the_interval_is_restored_when_an_engine_fails() -> None:
    with pytest.raises(ZeroDivisionError), switch_interval(0.001):
        raise ZeroDivisionError
    assert now() == 0.007


def test_an_interval_that_the_application_has_set_is_kept() -> None:
    with switch_interval(0.001):
        sys.setswitchinterval(0.003)
    assert now() == 0.003


def test_an_engine_that_is_interrupted_before_it_begins_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(own: list[float]) -> None:
        raise KeyboardInterrupt

    with switch_interval(0.001):
        monkeypatch.setattr(module, "_begin", interrupted)
        with pytest.raises(KeyboardInterrupt), switch_interval(0.002):
            pass
        assert now() == 0.001
    assert now() == 0.007


def test_an_interval_is_had_for_a_moment() -> None:
    with switch_interval(0.001):
        with briefly(0.00001):
            assert now() == 0.00001
        assert now() == 0.001
        with briefly(0.00001):
            sys.setswitchinterval(0.003)  # the application
        assert now() == 0.003
