"""The interpreter's switch interval is given back when the last engine ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from carboy.server.switch_interval import switch_interval
from live_engine import hello, served


@pytest.fixture(autouse=True)
def interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.007)
    yield
    sys.setswitchinterval(before)


def now() -> float:
    return round(sys.getswitchinterval(), 6)


def test_an_engine_gives_back_what_was_set_before_it() -> None:
    with served(hello, switch_interval=0.001) as live:
        live.get()
        assert now() == 0.001
    assert now() == 0.007


def test_an_engine_without_a_wish_changes_nothing() -> None:
    with served(hello, switch_interval=None) as live:
        live.get()
        assert now() == 0.007
    assert now() == 0.007


@pytest.mark.parametrize("wishes", [(0.001, 0.001), (0.001, 0.002)])
def test_the_last_of_two_engines_gives_it_back(wishes: tuple[float, float]) -> None:
    first, second = (switch_interval(wish) for wish in wishes)
    first.__enter__()
    second.__enter__()
    assert now() == wishes[1]
    first.__exit__(None, None, None)
    assert now() == wishes[1]
    second.__exit__(None, None, None)
    assert now() == 0.007


def test_the_outer_of_two_engines_has_its_own_again() -> None:
    with switch_interval(0.001):
        with switch_interval(0.002):
            assert now() == 0.002
        assert now() == 0.001
    assert now() == 0.007


def test_it_is_given_back_when_an_engine_fails() -> None:
    with pytest.raises(ZeroDivisionError), switch_interval(0.001):
        raise ZeroDivisionError
    assert now() == 0.007


def test_what_the_application_has_set_meanwhile_stays() -> None:
    with switch_interval(0.001):
        sys.setswitchinterval(0.003)
    assert now() == 0.003
