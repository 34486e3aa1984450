"""The search for a value inside of objects."""

from __future__ import annotations

import io
from collections import deque
from typing import Any

import pytest

from carboy.dev.explain.value_scan import search
from carboy.dev.explain.value_track import Track
from carboy.dev.explain.wanted_value import Matcher, Sent, wanted_value

VALUE = "needle in a haystack"
MATCHER = Matcher(wanted_value("header:X-Mine", Sent("GET", "/", [("X-Mine", VALUE)])))


class Plain:
    def __init__(self, inside: Any) -> None:
        self.inside = inside


class Slotted:
    __slots__ = ("inside", "unset")

    def __init__(self, inside: Any) -> None:
        self.inside = inside


class Hostile(dict[str, Any]):
    def __iter__(self) -> Any:
        raise AssertionError("code of the object ran")

    items = keys = values = __iter__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (VALUE, "x"),
        (VALUE.encode(), "x"),
        (bytearray(VALUE.encode()), "x"),
        (memoryview(VALUE.encode()), "x"),
        (f"X-Mine: {VALUE}\r\n", "x"),
        ({"a": VALUE}, "x['a']"),
        ([1, (VALUE, 2)], "x[1][0]"),
        (deque([VALUE]), "x[0]"),
        (Plain([VALUE]), "x.inside[0]"),
        (Slotted({1: VALUE}), "x.inside[1]"),
        (Hostile(a=VALUE), "x['a']"),
        (io.BytesIO(VALUE.encode()), "x.getvalue()"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_the_value_is_found_with_its_path(value: Any, path: str) -> None:
    assert [found.path for _, found in search({"x": value}, [MATCHER])] == [path]


def test_a_search_is_limited_and_survives_cycles() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert search({"x": ring}, [MATCHER]) == []
    many = [[number] for number in range(50)] + [[VALUE]]
    assert search({"x": many}, [MATCHER], most=20) == []


def test_a_short_value_inside_an_object_counts_next_to_its_name() -> None:
    matcher = Matcher(wanted_value("header:X-Mine", Sent("GET", "/", [("X-Mine", "1")])))
    found = search({"environ": {"HTTP_X_MINE": "1", "HTTP_OTHER": "1"}}, [MATCHER, matcher])
    assert [(number, each.path) for number, each in found if not each.is_bare] == [
        (1, "environ['HTTP_X_MINE']")
    ]


def test_what_is_behind_the_value_in_a_buffer_is_not_shown() -> None:
    wanted = wanted_value("header:X-Mine", Sent("GET", "/", [("X-Mine", VALUE)]))
    track = Track(0, wanted)
    buffer = bytearray(f"\r\nX-Mine: {VALUE}".encode() + b"memory")
    ((_, found),) = search({"b": buffer}, [track.matcher])
    assert track.excerpt(found) == f"b'\\r\\nX-Mine: {VALUE}'…"
    ((_, found),) = search({"b": bytes(buffer)}, [track.matcher])
    assert track.excerpt(found) == f"b'\\r\\nX-Mine: {VALUE}memory'"
