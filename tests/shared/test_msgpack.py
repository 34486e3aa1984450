"""MessagePack, compared with msgspec, which Flask-Session uses."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec.msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carboy.shared.msgpack import pack, unpack

INTEGERS = st.integers(-(2**63), 2**64 - 1)
AWARE = st.datetimes(
    min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)
)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | st.text() | st.binary()
    | AWARE,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | INTEGERS, inner),
)  # fmt: skip


class Colour(Enum):
    RED = "red"


@settings(max_examples=40)
@given(PLAIN)
def test_a_value_is_written_and_read_as_by_msgspec(value: Any) -> None:
    data = pack(value)
    assert data == msgspec.msgpack.encode(value)
    assert unpack(data) == value == msgspec.msgpack.decode(data)


@pytest.mark.parametrize(
    "value",
    [
        (1, (2,)), {3}, frozenset((4,)), UUID(int=5), Decimal("1.50"), date(2020, 1, 2),
        time(1, 2, 3, 4), datetime(2020, 1, 2, 3, 4, 5, 6), Colour.RED, bytearray(b"x"),
        datetime(1950, 1, 1, tzinfo=timezone(timedelta(hours=3))), math.inf, "x" * 31, "x" * 32,
        "x" * 256, "x" * 65536, b"x" * 256, b"x" * 65536, [0] * 15, [0] * 16, [0] * 65536,
        dict.fromkeys(range(15)), dict.fromkeys(range(16)), dict.fromkeys(range(65536)),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_other_values_are_written_as_by_msgspec(value: Any) -> None:
    assert pack(value) == msgspec.msgpack.encode(value)
    assert unpack(pack(value)) == msgspec.msgpack.decode(pack(value))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    try:
        unpack(data)
    except ValueError:
        pass


def test_bytes_that_are_cut_are_refused() -> None:
    data = pack({"a": [1.5, "text", b"bytes", 70000], "z": datetime(2020, 1, 1, tzinfo=UTC)})
    for size in range(len(data)):
        with pytest.raises(ValueError, match="not MessagePack"):
            unpack(data[:size])
    with pytest.raises(ValueError, match="more after the value"):
        unpack(data + b"\x00")


def test_a_length_that_is_a_lie_needs_no_memory() -> None:
    with pytest.raises(ValueError, match="end too early"):
        unpack(b"\xdd\xff\xff\xff\xff")


def test_a_nesting_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="contains itself"):
        pack(endless)
    with pytest.raises(ValueError, match="levels"):
        unpack(b"\x91" * 100_000 + b"\x01")


@pytest.mark.parametrize("value", [object(), 1j, timedelta(1), print, range(3)])
def test_a_type_without_a_form_is_named(value: Any) -> None:
    with pytest.raises(TypeError, match=f"the type {type(value).__name__} cannot be stored"):
        pack(value)


def test_an_integer_of_more_than_64_bits_is_refused() -> None:
    for value in (2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="64 bits"):
            pack(value)
