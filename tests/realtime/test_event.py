"""Server-sent events as bytes, against a reader of the rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.realtime.event import KEEP_ALIVE, Event, comment, encode
from event_stream import Received, read

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


def lines(text: str) -> str:
    """The text as a client sees it: every line end of the format becomes LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(TEXT)
def test_text_arrives_with_each_line_end_as_one(data: str) -> None:
    reader = read(encode(data, json.dumps))
    assert reader.events == [Received("message", lines(data), "")]


@given(st.lists(st.tuples(TEXT, st.none() | LINE, st.none() | LINE)))
def test_events_do_not_run_into_each_other(sent: list[tuple[str, str | None, str | None]]) -> None:
    stream = b"".join(encode(Event(*each), json.dumps) for each in sent)
    expected, last = [], ""
    for data, event, new in sent:
        last = last if new is None else new
        expected.append(Received(event or "message", lines(data), last))
    assert read(stream).events == expected


@given(JSON)
def test_a_dict_is_sent_as_json(value: Any) -> None:
    reader = read(encode({"value": value}, json.dumps))
    assert json.loads(reader.events[0].data) == {"value": value}


@given(TEXT)
def test_clients_ignore_comments(text: str) -> None:
    reader = read(encode("before", json.dumps) + comment(text) + encode("after", json.dumps))
    assert [each.data for each in reader.events] == ["before", "after"]
    assert reader.comments == [f" {line}" for line in lines(text).split("\n")]


def test_bytes_are_text_in_utf8() -> None:
    assert read(encode("grün\n".encode(), json.dumps)).events[0].data == "grün\n"
    with pytest.raises(ValueError, match="base64"):
        encode(b"\xff", json.dumps)


def test_an_event_without_data_sets_the_id_and_the_time_only() -> None:
    reader = read(encode(Event(id="7", retry=2500), json.dumps))
    assert (reader.events, reader.last_event_id, reader.retry) == ([], "7", 2500)
    assert encode(Event(), json.dumps) == b""


def test_empty_text_is_an_event() -> None:
    assert read(encode("", json.dumps)).events == [Received("message", "", "")]


def test_the_keep_alive_is_nothing_to_a_client() -> None:
    reader = read(KEEP_ALIVE + encode("x", json.dumps))
    assert [each.data for each in reader.events] == ["x"]


@pytest.mark.parametrize("id", ["a\nb", "a\rb", "a\0b"])
def test_an_id_that_a_client_would_misread_is_refused(id: str) -> None:
    with pytest.raises(ValueError, match="neither line ends nor NUL"):
        Event("x", id=id)


@pytest.mark.parametrize("event", ["a\nb", "a\r", "\r\n"])
def test_a_type_with_a_line_end_is_refused(event: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        Event("x", event=event)


@pytest.mark.parametrize("retry", [-1, 1.5, "10", True])
def test_retry_is_a_number_of_milliseconds(retry: Any) -> None:
    with pytest.raises(ValueError, match="milliseconds"):
        Event("x", retry=retry)
