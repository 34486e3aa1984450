"""The decoder and encoder of multipart events, compared with Werkzeug."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import werkzeug.datastructures
import werkzeug.sansio.multipart as theirs
from hypothesis import assume, example, given
from hypothesis import strategies as st
from werkzeug.exceptions import RequestEntityTooLarge as TheirTooLarge

from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.fields.headers import Headers
from carboy.http.forms import multipart_events as events

FIELD = b'Content-Disposition: form-data; name="a"'
FILE = FIELD + b'; filename="x.txt"\r\nContent-Type: text/plain'
START = b"--XX\r\n" + FIELD + b"\r\n\r\n"
TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"--XX", b"--", b"X", b"-", b" ", b"\t", b"content", b"\xff"),
    *(b"\r\n--XX\r\n", b"\r\n--XX--\r\n", START, b"\r\n" + START, FIELD, FIELD + b"\n\n"),
    *(b"--XX\r\n" + FILE + b"\r\n\r\n", b"A: b", b"A: b\r\n c\r\n", b"--XX  \r\n", b"epilogue"),
]
TOO_LARGE = (RequestEntityTooLarge, TheirTooLarge)


def plain(event: Any) -> tuple[Any, ...]:
    values = vars(event).items()
    return type(event).__name__, *(list(v) if k == "headers" else v for k, v in values)


def decoded(module: Any, pieces: list[bytes], **limits: Any) -> list[Any]:
    """Each event with the state and the buffer after it, up to the end or an error."""
    parser = module.MultipartDecoder(b"XX", **limits)
    seen: list[Any] = []
    for piece in [*pieces, None]:
        try:
            parser.receive_data(piece)
            while not seen or seen[-1][0][0] != "Epilogue":
                event = plain(parser.next_event())
                seen.append((event, parser.state.name, bytes(parser.buffer)))
                if event == ("NeedData",):
                    break
        except TOO_LARGE:
            return [*seen, "too large"]
        except ValueError:
            return [*seen, "malformed"]
    return seen


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(content), *(place % (len(content) + 1) for place in places)})
    return [content[start:end] for start, end in pairwise(edges)]


bodies = st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join)
places = st.lists(st.integers(0, 400), max_size=30)
limits = st.sampled_from([{}, {"max_parts": 1}, {"max_form_memory_size": 60}])


def torn(pieces: list[bytes]) -> bool:
    """Whether a piece ends inside the line of a boundary, where Werkzeug returns the CR."""
    so_far = b""
    for piece in pieces:
        so_far += piece
        before, boundary, rest = so_far.rpartition(b"\r\n--XX")
        if boundary and rest.strip(b" \t") in (b"", b"-") and rest:
            return True
    return False


def strict(seen: list[Any]) -> list[Any]:
    """The events before a header with an invalid name, which Carboy refuses."""
    for index, step in enumerate(seen):
        if step[0][0] in ("Field", "File"):
            names = [name for name, _ in step[0][-1]]
            if not all(name.replace("-", "").isalnum() for name in names):
                return [*seen[:index], "malformed"]
    return seen


@given(body=bodies, places=places, limits=limits, head=st.booleans())
def test_the_events_are_those_of_werkzeug(
    body: bytes, places: list[int], limits: Any, head: bool
) -> None:
    pieces = cut(START * head + body, places)
    assume(not torn(pieces))
    real = decoded(theirs, pieces, **limits)
    stricter = strict(real)
    assume(stricter is real)
    ours: Any = type("Ours", (), {"MultipartDecoder": events.MultipartDecoder})
    assert decoded(ours, pieces, **limits) == real


def content(pieces: list[bytes]) -> list[Any]:
    """The headers and contents, without the limits of pieces."""
    found: list[Any] = []
    for event, *_ in decoded(events, pieces):
        if event[0] == "Data" and found[-1][0] == "Data":
            found[-1] = ("Data", found[-1][1] + event[1])
        elif event[0] == "Data":
            found.append(event[:2])
        elif event[0] in ("Field", "File"):
            found.append(event)
    return found


@given(contents=st.lists(st.binary(max_size=20), min_size=1, max_size=4), places=places)
@example(contents=[b"a\r", b"\n-"], places=list(range(300)))
def test_content_does_not_depend_on_where_the_input_is_split(
    contents: list[bytes], places: list[int]
) -> None:
    body = b"".join(START + each + b"\r\n" for each in contents) + b"--XX--\r\n"
    whole = content([body])
    assert [each[1] for each in whole if each[0] == "Data"] == contents
    assert content(cut(body, places)) == whole


@pytest.mark.parametrize("size", range(1, 12))
def test_a_boundary_split_after_its_dash_leaves_no_cr_in_the_content(size: int) -> None:
    body = START + b"abc\r\n--XX--"
    assert content([body[:-size], body[-size:]])[1:] == [("Data", b"abc")]


def test_werkzeug_returns_that_cr() -> None:
    """The defect of Werkzeug that the tests above leave out."""
    steps = decoded(theirs, [START + b"abc\r\n--XX-", b"-"])
    assert [step[0] for step in steps[2:4]] == [("Data", b"abc\r", True), ("NeedData",)]


def test_the_error_of_an_incomplete_body_has_the_state() -> None:
    parser = events.MultipartDecoder(b"XX")
    parser.receive_data(START + b"abc")
    while parser.next_event() is not events.NEED_DATA:
        pass
    parser.receive_data(None)
    with pytest.raises(ValueError, match="cannot parse beyond State.DATA"):
        parser.next_event()


def test_a_part_without_content_disposition_is_malformed() -> None:
    assert decoded(events, [b"--XX\r\nA: b\r\n\r\n"])[-1] == "malformed"


def every_event(module: Any, headers: Any) -> list[Any]:
    return [
        module.Preamble(b"before"),
        module.Field("a", headers([("X", "1"), ("content-disposition", "other")])),
        module.File("b", "x.txt", headers()),
        module.Data(b"", False),
        module.Data(b"more", True),
        module.Data(b"last", False),
        module.Epilogue(b"behind"),
    ]


def sent(write: Any, chosen: list[Any]) -> list[Any]:
    steps: list[Any] = []
    for event in chosen:
        try:
            steps.append((write.send_event(event), write.state.name))
        except ValueError:
            steps.append(("refused", write.state.name))
    return steps


@given(st.lists(st.integers(0, 6), max_size=8))
def test_events_are_encoded_as_in_werkzeug(order: list[int]) -> None:
    real = every_event(theirs, werkzeug.datastructures.Headers)
    ours = every_event(events, Headers)
    assert sent(events.MultipartEncoder(b"XX"), [ours[index] for index in order]) == sent(
        theirs.MultipartEncoder(b"XX"), [real[index] for index in order]
    )


def test_quotes_in_a_name_are_escaped() -> None:
    write = events.MultipartEncoder(b"XX")
    field = events.Field('a"; filename="x\r\n', Headers())
    assert b'name="a%22; filename=%22x%0D%0A"\r\n' in write.send_event(field)


def test_content_may_begin_with_an_empty_piece() -> None:
    write = events.MultipartEncoder(b"XX")
    steps = [
        events.Field("a", Headers()),
        events.Data(b"", True),
        events.Data(b"abc", False),
        events.Epilogue(b""),
    ]
    body = b"".join(write.send_event(step) for step in steps)
    assert [each[1] for each in content([body])] == ["a", b"abc"]
