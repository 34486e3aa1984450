"""One question at a time has the turn, and learns when it is to end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from carboy.server.admin.call import CannotAnswer
from carboy.server.admin.exclusive import GONE, STOPS, Exclusive


def test_a_second_question_is_refused_until_the_first_one_has_ended() -> None:
    exclusive = Exclusive(engine(), lambda number: False, "It runs already.")
    with pytest.raises(ZeroDivisionError), exclusive.turn(1) as over:
        assert over() == ""
        with pytest.raises(CannotAnswer, match="It runs already."), exclusive.turn(2):
            pass
        raise ZeroDivisionError
    with exclusive.turn(3):
        pass


def test_a_question_ends_when_its_client_has_gone_or_the_worker_stops() -> None:
    found, gone = engine(), set[int]()
    exclusive = Exclusive(found, gone.__contains__, "")
    with exclusive.turn(1) as over:
        gone.add(2)
        assert over() == ""
        found.stopping.asked = 1.0
        assert over() == STOPS
        gone.add(1)
        assert over() == GONE


def engine() -> Any:
    return SimpleNamespace(stopping=SimpleNamespace(asked=None))
