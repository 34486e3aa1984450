"""The values that engines of channels return (realtime/engine.py)."""

from __future__ import annotations

from carboy.realtime.engine import Subscribers


def test_subscribers_have_a_length_and_names() -> None:
    found = Subscribers(5, {"ada": 3, "grace": 1})
    assert len(found) == 5
    assert sorted(found) == ["ada", "grace"]
    assert "ada" in found
    assert "bob" not in found


def test_a_channel_without_subscribers_is_false() -> None:
    assert not Subscribers()
    assert Subscribers(1)
