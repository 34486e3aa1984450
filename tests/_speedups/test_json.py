"""The compiled functions that read and write JSON: the same results as `json`, or None."""

from __future__ import annotations

import json
import math
import sys
from collections import OrderedDict
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from _speedups.twins import compiled
from carboy import Carboy
from carboy.app.json import provider

reader = compiled("json_reader")
writer = compiled("json_writer")

# Surrogates too: Python writes them as escapes, and reads such escapes.
TEXT = st.text(st.characters(codec=None), max_size=12) | st.text(
    st.sampled_from('a"\\/\b\f\n\r\t\0\x1f\x7f\x80é€\ud800\udc00\U0001f600\U0010ffff'), max_size=6
)
DECIMALS = st.builds(
    lambda number, power: float(f"{number}e{power}"),
    st.integers(-(10**17), 10**17),
    st.integers(-25, 25),
)
NUMBERS = st.integers() | st.integers(-(2**64), 2**64) | st.floats() | DECIMALS
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
MANY_KEYS = st.dictionaries(st.text(max_size=3), st.integers(0, 9), min_size=17, max_size=60)


def python_text(value: Any, ensure_ascii: bool = True, sort_keys: bool = True) -> str:
    """The text of the twin."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=ensure_ascii, sort_keys=sort_keys)


# --- the writer


@given(VALUES | MANY_KEYS, st.booleans(), st.booleans())
@example({"b": [1, -0.0, 24.5, 1e15, 1e-4, 0.001], "a": {"": None}}, True, True)
@example([float("nan"), float("inf"), -float("inf")], True, True)
@example([999999999999999.9, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 1e22, 1e16], True, True)
@example([2**63 - 1, -(2**63), 2**63], True, True)
def test_both_write_the_same_text(value: Any, ensure_ascii: bool, sort_keys: bool) -> None:
    text = writer.compact(value, ensure_ascii, sort_keys)
    if text is not None:
        assert text == python_text(value, ensure_ascii, sort_keys)


@given(DECIMALS | st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_as_python_writes_it(number: float) -> None:
    assert writer.compact(number, True, True) == repr(number)


ORDINARY = st.booleans() | st.integers(-9, 9) | st.text() | st.none() | st.floats()


@given(
    st.dictionaries(st.text(), st.lists(ORDINARY) | ORDINARY | st.dictionaries(st.text(), ORDINARY))
)
def test_ordinary_values_are_written_by_the_compiled_function(value: Any) -> None:
    assert writer.compact(value, True, False) == python_text(value, sort_keys=False)


def test_a_large_object_is_sorted() -> None:
    value = {f"{7919 * n % 1009:04}": n for n in range(1009)}
    assert writer.compact(value, True, True) == python_text(value)
    assert writer.compact({**value, **{str(n): n for n in range(1009)}}, True, True) is None


class Number(IntEnum):
    ONE = 1


class Text(str):
    pass


@pytest.mark.parametrize(
    "value",
    [
        {1: 2}, {None: 1}, {"a": 1, 2: 3}, {Text("a"): 1}, Text("a"), Number.ONE, 2**64,
        OrderedDict(a=1), Decimal(1), datetime(2026, 1, 1), {1, 2}, b"a", object(), iter([1]),
    ],
)  # fmt: skip
def test_every_other_value_is_left_to_python(value: Any) -> None:
    assert writer.compact(value, True, True) is None
    assert writer.compact([{"a": value}], True, True) is None


def test_a_surrogate_that_stays_text_is_left_to_python() -> None:
    assert writer.compact("\ud800", False, True) is None
    assert writer.compact("\ud800", True, True) == '"\\ud800"'


def test_deep_values_and_values_that_contain_themselves_are_left_to_python() -> None:
    deep: list[Any] = []
    for _ in range(99):
        deep = [deep]
    assert writer.compact(deep, True, True) == python_text(deep)
    assert writer.compact([deep], True, True) is None
    own: dict[str, Any] = {}
    own["own"] = own
    assert writer.compact(own, True, True) is None


# --- the reader


def python_value(data: bytes) -> Any:
    """The value of the twin; None if it refuses the text."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def same(one: Any, other: Any) -> bool:
    """Equality that tells types and -0.0 apart."""
    return repr(one) == repr(other)


PIECES = st.sampled_from(
    ["{", "}", "[", "]", ":", ",", '"', '"a"', '"key"', " ", "\t\r\n", "null", "true", "false",
     "nul", "NaN", "Infinity", "-", "0", "01", "-0", "12", ".", ".5", "e", "E+3", "e-400", "\\",
     "\\n", "\\/", "\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\u12", "é", "\x7f", "\0", "\n", "a",
     "123456789012345678", "9" * 30, "0.1", "1e22", "1e23", "18446744073709551616.25"]
)  # fmt: skip
LAYOUTS = st.sampled_from([None, 0, 1, "\t"])


@settings(max_examples=40)
@given(st.lists(VALUES) | st.dictionaries(TEXT, VALUES), LAYOUTS, st.booleans())
@example({"a": {"a": 1, "b": 2}, "b": [{"a": -0.0, "é": "\U0001f600"}]}, None, True)
def test_both_read_the_same_value(value: Any, indent: Any, ensure_ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)
    data = text.encode("utf-8", "surrogatepass")
    found = reader.container(data)
    if found is not None:
        assert same(found, json.loads(data))


@given(st.lists(PIECES, max_size=12).map("".join), st.booleans())
@example('{"a":1,"a":2}', False)
@example('{"a" 1}', False)
@example("[1,]", False)
@example('["\\', False)
@example("[1e]", False)
@example("[1.]", False)
@example("[123456789012345678.]", False)
@example("[123456789012345678.25e-12, 1234567890123456789]", False)
def test_both_read_pieces_alike(text: str, wrapped: bool) -> None:
    data = (f"[{text}]" if wrapped else text).encode()
    found = reader.container(data)
    if found is not None:
        assert same(found, python_value(data))


@given(st.binary(max_size=20))
def test_both_read_bytes_alike(data: bytes) -> None:
    for each in (data, b'["' + data + b'"]', b"[" + data + b"]"):
        found = reader.container(each)
        if found is not None:
            assert same(found, python_value(each))


@given(NUMBERS.filter(lambda number: not isinstance(number, float) or math.isfinite(number)))
def test_numbers_are_read_by_the_compiled_function(number: float) -> None:
    data = json.dumps([number]).encode()
    assert same(reader.container(data), [number])


@given(st.dictionaries(st.text(), st.lists(st.text() | st.none() | st.booleans())))
def test_ordinary_objects_are_read_by_the_compiled_function(value: Any) -> None:
    for ensure_ascii in (True, False):
        data = json.dumps(value, indent=1, ensure_ascii=ensure_ascii).encode()
        assert reader.container(data) == value


@pytest.mark.parametrize(
    "data",
    [
        b"", b"1", b'"a"', b"null", b"{", b"[1", b"[1]]", b'["\xff"]', b'["\n"]', b"[\xe9]",
        b"[" * 101 + b"]" * 101, b'["\\ud800"]', b"[" + b"9" * 5000 + b"]", "[1]",
        bytearray(b"[1]"), None, b"\xef\xbb\xbf[1]", "[1]".encode("utf-16-le"),
    ],
)  # fmt: skip
def test_every_other_text_is_left_to_python(data: Any) -> None:
    assert reader.container(data) is None


def test_keys_of_one_text_are_shared_and_not_kept() -> None:
    expected = [{f"key number {n % 40}": n, "a name": n} for n in range(200)]
    value = reader.container(json.dumps(expected).encode())
    keys = [list(each)[1] for each in value]
    shared = len({id(key) for key in keys})
    one = keys.pop()
    count = sys.getrefcount(one)
    keys.clear()
    equal = value == expected
    value.clear()
    assert (equal, shared, count - sys.getrefcount(one)) == (True, 1, 399)


# --- the provider


def test_the_provider_uses_the_compiled_functions() -> None:
    if provider.speedups.reason:
        pytest.skip(f"The Python twins run: {provider.speedups.reason}.")
    assert provider._ordinary_text is writer.compact
    assert provider._ordinary_value is reader.container
    own = Carboy("json").json
    value = {"b": [1, 2.5, "é"], "a": Decimal(1), "c": datetime(2026, 1, 1)}
    text = own.dumps(value, separators=(",", ":"))
    data = b'{"a": ["\xc3\xa9", "\\ud800", 1e400]}'
    found = own.loads(data)
    provider.speedups.hold("a test")
    try:
        assert provider._ordinary_text is None
        assert provider._ordinary_value is None
        assert own.dumps(value, separators=(",", ":")) == text
        assert own.loads(data) == found
    finally:
        provider.speedups.release("a test")


@pytest.mark.parametrize("text", ['{"a": }', "[1, 2", '["\\x"]', "[" * 5000])
def test_errors_are_those_of_python(text: str) -> None:
    own = Carboy("json").json
    with pytest.raises((ValueError, RecursionError)) as expected:
        json.loads(text)
    with pytest.raises(expected.type) as raised:
        own.loads(text.encode())
    if expected.type is not RecursionError:
        assert str(raised.value) == str(expected.value)
