from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.trace_context import trace_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_trace_is_continued_as_a_child_of_its_caller() -> None:
    found = trace_of([PARENT], ["congo=t61rcWkgMzE, rojo=00f067aa0ba902b7"])
    assert (found.trace_id, found.parent_id, found.flags) == (TRACE, SPAN, 1)
    assert re.fullmatch("[0-9a-f]{16}", found.span_id) and found.span_id != SPAN
    assert found.headers() == {
        "traceparent": f"00-{TRACE}-{found.span_id}-01",
        "tracestate": "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
    }


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [""],
        [PARENT, PARENT],  # the field came twice
        [PARENT.upper()],
        [PARENT + "-00"],  # version 00 has four parts
        [PARENT + "\n"],
        [" " + PARENT],
        [PARENT[:-1]],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"01-{TRACE}-{SPAN}-01.what"],
        [f"00-{TRACE}-{SPAN}-0g"],
    ],
)
def test_a_malformed_traceparent_is_ignored_and_a_new_trace_begins(parents: list[str]) -> None:
    found = trace_of(parents, ["a=1"])
    assert found.trace_id != TRACE and re.fullmatch("[0-9a-f]{32}", found.trace_id)
    assert (found.parent_id, found.flags, found.state) == ("", 0, "")
    assert "tracestate" not in found.headers()


@pytest.mark.parametrize("text", [f"cc-{TRACE}-{SPAN}-03", f"cc-{TRACE}-{SPAN}-03-what.follows"])
def test_a_later_version_is_read_as_far_as_it_is_known(text: str) -> None:
    found = trace_of([text], [])
    assert found.trace_id == TRACE
    assert found.headers()["traceparent"] == f"00-{TRACE}-{found.span_id}-01"


@pytest.mark.parametrize(
    "state",
    [
        "a",
        "A=1",
        "a=1,a=2",
        "a=x=y",
        "a= ",
        "a=\x7f",
        ",".join(f"k{number}=1" for number in range(33)),
        ",".join(f"k{number}={'v' * 60}" for number in range(9)),
    ],
)
def test_a_malformed_tracestate_is_dropped_and_the_trace_stays(state: str) -> None:
    found = trace_of([PARENT], [state])
    assert (found.trace_id, found.state) == (TRACE, "")


def test_fields_of_tracestate_are_joined_and_empty_members_left_out() -> None:
    assert trace_of([PARENT], ["a=1,,", " tenant@vendor=x y "]).state == "a=1,tenant@vendor=x y"


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_any_text_gives_a_valid_trace(parents: list[str], states: list[str]) -> None:
    fields = trace_of(parents, states).headers()
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", fields["traceparent"])
    assert re.fullmatch("[\x20-\x7e]*", fields.get("tracestate", ""))
