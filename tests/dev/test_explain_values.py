"""Values as text: short, without secrets, and without running code of their classes."""

from __future__ import annotations

import re
from collections import OrderedDict
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from carboy.dev.explain.values import LONGEST, argument, brief, exception

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(PLAIN)
def test_no_value_takes_more_than_a_few_lines(value: Any) -> None:
    assert len(brief(value)) < 12 * LONGEST or isinstance(value, int)


@pytest.mark.parametrize(
    "value",
    [
        "Authorization: Bearer hunter2",
        b"GET / HTTP/1.1\r\nCookie: a=hunter2\r\n\r\n",
        "/in?page=2&token=hunter2",
        b"name=ada&password=hunter2",
        '{"api_key": "hunter2"}',
        {"password": "hunter2"},
        {"secret": ["hunter2"]},
        ("Set-Cookie", "a=hunter2"),
        [("cookie", "hunter2")],
    ],
)
def test_secrets_are_left_out(value: Any) -> None:
    assert "hunter2" not in brief(value)
    assert "hunter2" not in argument("anything", value)


@given(st.sampled_from(["password", "SECRET_KEY", "csrf_token", "authorization"]), st.text("xyz"))
def test_a_value_with_the_name_of_a_secret_is_hidden(name: str, value: str) -> None:
    assert argument(name, value) == "'…'"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("short", "'short'"),
        ("page=2", "'page=2'"),
        ("x" * 100, f"'{'x' * (LONGEST - 1)}…' (100 characters)"),
        (b"", "b''"),
        ((1,), "(1,)"),
        ({"a": [1, 2, 3, 4]}, "{'a': [1, 2, 3, … 4 in all]}"),
        ([], "[]"),
        ([[[1]]], "[[[…]]]"),
        (len, "<function len>"),
        (dict, "<class dict>"),
        (KeyError("name"), "KeyError('name')"),
    ],
)
def test_values_are_described_briefly(value: Any, text: str) -> None:
    assert brief(value) == text


class Hostile:
    """All its methods raise, as those of an object of a closed database session."""

    name = property(lambda self: 1 / 0)

    def __repr__(self) -> str:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError


def test_no_code_of_the_value_runs() -> None:
    assert brief(Hostile()) == "<Hostile>"
    assert brief([Hostile()]) == "[<Hostile>]"


def test_an_object_is_described_by_its_name() -> None:
    class Rule:
        def __init__(self) -> None:
            self.endpoint = "index"

    assert brief(Rule()) == "<Rule 'index'>"


@given(PLAIN)
def test_a_cut_value_ends_with_its_quote_or_bracket(value: Any) -> None:
    """Without the marks for what was left out, the text is Python."""
    text = re.sub(r"<int of [\d,]+ bits>", "0", brief(value))
    text = re.sub(r"(['\"]\)?) \([\d,]+ (?:characters|bytes)\)", r"\1", text)
    text = re.sub(r"(, )?… [\d,]+ in all|…", "", text)
    eval(text, {"nan": 0, "inf": 0})


class Zone(tzinfo):
    def __repr__(self) -> str:
        raise RuntimeError

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("\x00" * 60, "'" + "\\x00" * 17 + "…' (60 characters)"),
        ({"a": ["x" * 99]}, "{'a': ['" + "x" * 68 + "…' (99 characters)]}"),
        ([{"a": "x" * 99}] * 9, "[{'a': '" + "x" * 68 + "…' (99 characters)}, … 9 in all]"),
        (b"password='hunter2'&it's", "b\"password='…'&it's\""),
        ("a***b", "'a***b'"),
        ([10**5000], "[<int of 16,610 bits>]"),
        (HTTPStatus.OK, "HTTPStatus(200)"),
        (OrderedDict(a=1), "OrderedDict({'a': 1})"),
        (Markup("<b>"), "Markup('<b>')"),
        (Decimal("1.10"), "Decimal('1.10')"),
        (date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
        (datetime(2026, 1, 2, tzinfo=Zone()), "<datetime>"),
        (PurePosixPath("/a"), "PurePosixPath('/a')"),
        (UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')"),
    ],
)
def test_cut_and_derived_values(value: Any, text: str) -> None:
    assert brief(value) == text


class Loud(Exception):
    def __init__(self, message: str) -> None:
        self.message = message

    def __str__(self) -> str:
        raise RuntimeError


class Slotted(Exception):
    __slots__ = ("title",)

    def __str__(self) -> str:
        raise RuntimeError


def slotted(title: str) -> Slotted:
    error = Slotted()
    error.title = title
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("name"), "KeyError: 'name'"),
        (ValueError("first\nsecond"), "ValueError: first …"),
        (
            FileNotFoundError(2, "No such file", "a.txt"),
            "FileNotFoundError: [Errno 2] No such file: 'a.txt'",
        ),
        (StopIteration(), "StopIteration"),
        (Loud("too loud"), "Loud: too loud"),
        (slotted("in a slot"), "Slotted: in a slot"),
        (Slotted(), "Slotted"),
        (ValueError("token=hunter2"), "ValueError: token=…"),
        (KeyError(Hostile()), "KeyError: <Hostile>"),
        (OSError(2, "No", Hostile()), "FileNotFoundError: 2, 'No'"),
        (ExceptionGroup("both", [ValueError()]), "ExceptionGroup: both (1 sub-exception)"),
    ],
)
def test_an_exception_has_its_type_and_message(error: BaseException, text: str) -> None:
    assert exception(error) == text


@pytest.mark.parametrize("kind", [UUID, PurePosixPath, Hostile, Slotted, OrderedDict, Markup])
def test_an_object_that_is_being_made_is_described(kind: type) -> None:
    assert brief(kind.__new__(kind)).startswith((f"<{kind.__name__}", f"{kind.__name__}("))
