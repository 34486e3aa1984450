"""One connection from its first request to its end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol import (
    Data,
    Limits,
    LocalProtocolError,
    Machine,
    Reading,
    RemoteProtocolError,
    RequestHead,
    Signal,
    Writing,
)
from protocol.feeding import body, heads, outcome, play
from protocol.rules import chunked, get, length, line, post

OK = ("200 OK", [("Content-Type", "text/plain")], b"ok", b"")


def connected(data: bytes, limits: Limits | None = None) -> Machine:
    connection = Machine(limits or Limits())
    assert isinstance(connection.receive(data), RequestHead)
    return connection


# -- one request after the other ---------------------------------------------------------------


def test_a_head_without_a_body_is_complete_by_itself() -> None:
    connection = connected(get())
    assert connection.reading is Reading.DONE
    assert connection.next_event() is Signal.PAUSED


def test_a_body_is_followed_by_one_end() -> None:
    connection = connected(length(b"5"))
    piece = connection.next_event()
    assert isinstance(piece, Data)
    assert piece.data == b"hello"
    assert connection.next_event() is Signal.END_OF_MESSAGE
    assert connection.next_event() is Signal.PAUSED


def test_pieces_of_a_body_are_given_as_they_come() -> None:
    connection = connected(post(b"Content-Length: 5", body=b"he"))
    assert isinstance(connection.next_event(), Data)
    assert connection.next_event() is Signal.NEED_DATA
    piece = connection.receive(b"llo")
    assert isinstance(piece, Data)
    assert piece.data == b"llo"
    assert connection.next_event() is Signal.END_OF_MESSAGE


def test_pipelined_requests_wait_and_are_answered_in_order() -> None:
    connection = connected(get(target=b"/1") + get(target=b"/2") + get(target=b"/3"))
    for number in (2, 3):
        assert connection.next_event() is Signal.PAUSED
        assert connection.buffered > 0
        connection.whole_response(*OK)
        head = connection.next_event()
        assert isinstance(head, RequestHead)
        assert head.target == f"/{number}"
    connection.whole_response(*OK)
    assert connection.next_event() is Signal.NEED_DATA


def test_bytes_received_while_requests_wait_come_after_them() -> None:
    connection = connected(get(target=b"/1") + get(target=b"/2"))
    connection.whole_response(*OK)
    head = connection.receive(get(target=b"/3"))
    assert isinstance(head, RequestHead)
    assert head.target == "/2"
    connection.whole_response(*OK)
    head = connection.next_event()
    assert isinstance(head, RequestHead)
    assert head.target == "/3"


def test_bytes_received_before_the_answer_wait() -> None:
    connection = connected(get(target=b"/1"))
    assert connection.receive(get(target=b"/2")) is Signal.PAUSED
    connection.whole_response(*OK)
    assert isinstance(connection.next_event(), RequestHead)


def test_pipelines_of_all_kinds_do_not_depend_on_pieces() -> None:
    result = outcome(
        get(b"A: b") + length(b"5") + chunked(b"2\r\nhi\r\n0\r\nA: b\r\n\r\n") + get(b"X_Y: z")
    )
    assert [step[0] for step in result] == [
        *("head", "answer"),
        *("head", "body", "end", "answer"),
        *("head", "body", "end", "answer"),
        *("head", "answer"),
    ]


def test_no_request_is_read_after_one_that_closes() -> None:
    result = outcome(get(b"Connection: close") + get(target=b"/2"))
    assert [step[0] for step in result] == ["head", "answer", "closed"]


def test_no_request_is_read_after_http_1_0() -> None:
    result = outcome(line(b"GET / HTTP/1.0") + get(target=b"/2"))
    assert [step[0] for step in result] == ["head", "answer", "closed"]


def test_http_1_0_can_keep_the_connection() -> None:
    data = line(b"GET / HTTP/1.0", b"Connection: keep-alive\r\n")
    result = outcome(data + data)
    assert [step[0] for step in result] == ["head", "answer", "head", "answer"]
    assert b"\r\nConnection: keep-alive\r\n" in result[1][1]


def test_nothing_is_read_after_an_error() -> None:
    connection = Machine(Limits())
    with pytest.raises(RemoteProtocolError):
        connection.receive(b"bad\r\n\r\n" + get())
    assert connection.reading is Reading.ERROR
    assert connection.receive(get()) is Signal.CLOSED
    assert connection.next_event() is Signal.CLOSED
    assert connection.buffered == 0
    assert connection.must_close


def test_nothing_is_kept_of_what_comes_after_the_end() -> None:
    connection = connected(get(b"Connection: close"))
    connection.whole_response(*OK)
    assert connection.receive(b"x" * 100_000) is Signal.CLOSED
    assert connection.buffered == 0


def test_the_bytes_after_a_request_go_to_the_application_that_takes_the_socket() -> None:
    connection = connected(get(b"Connection: upgrade", b"Upgrade: chat") + b"hello")
    assert connection.hand_over(for_good=True) == b"hello"
    assert connection.must_close
    assert connection.receive(get()) is Signal.CLOSED


# -- the end of the peer's bytes --------------------------------------------------------------


def test_an_end_between_requests_closes() -> None:
    assert outcome(b"", eof=True) == [("closed",)]
    assert [step[0] for step in outcome(get(), eof=True)] == ["head", "answer", "closed"]


def test_an_end_after_an_empty_line_closes() -> None:
    assert outcome(b"\r\n", eof=True) == [("closed",)]


def test_an_end_before_the_answer_does_not_prevent_it() -> None:
    connection = connected(get())
    assert connection.receive(b"") is Signal.PAUSED
    assert connection.whole_response(*OK).endswith(b"\r\n\r\nok")
    assert connection.next_event() is Signal.CLOSED


def test_an_end_in_the_pipeline_does_not_prevent_answers() -> None:
    assert [step[0] for step in outcome(get() * 2, eof=True)] == ["head", "answer"] * 2 + ["closed"]


@pytest.mark.parametrize(
    "data",
    [b"G", get()[:-1], get()[:-2], length(b"6"), chunked(b"5\r\nhel"), chunked(b"0\r\n")],
)
def test_an_end_in_the_middle_of_a_request_is_an_error(data: bytes) -> None:
    result = outcome(data, eof=True)
    assert result[-1][:2] == ("error", 400)


# -- 100-continue ------------------------------------------------------------------------------

EXPECTING = post(b"Content-Length: 5", b"Expect: 100-continue")


def test_continue_is_sent_once() -> None:
    connection = connected(EXPECTING)
    assert connection.continue_needed
    assert connection.send_continue() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not connection.continue_needed
    assert connection.send_continue() == b""


def test_continue_is_not_needed_when_the_body_is_there() -> None:
    assert not connected(EXPECTING + b"h").continue_needed


def test_continue_is_not_needed_when_the_body_has_come() -> None:
    connection = connected(EXPECTING)
    connection.receive(b"hel")
    assert not connection.continue_needed
    assert connection.send_continue() == b""


@pytest.mark.parametrize(
    "data",
    [
        get(),
        length(b"5")[:-5],
        get(b"Expect: 100-continue"),
        post(b"Content-Length: 0", b"Expect: 100-continue"),
        EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_continue_is_not_needed_when_the_client_does_not_wait_for_it(data: bytes) -> None:
    connection = connected(data)
    assert not connection.continue_needed
    assert connection.send_continue() == b""


def test_continue_is_not_sent_after_the_answer_began() -> None:
    connection = connected(EXPECTING)
    connection.start_response("403 Forbidden", [], b"")
    assert connection.send_continue() == b""


def test_continue_is_sent_for_one_request_only() -> None:
    connection = connected(EXPECTING)
    connection.send_continue()
    connection.receive(b"hello")
    connection.next_event()
    connection.whole_response(*OK)
    assert isinstance(connection.receive(EXPECTING), RequestHead)
    assert connection.send_continue()


def test_a_chunked_body_can_be_waited_for() -> None:
    data = post(b"Transfer-Encoding: chunked", b"Expect: 100-CONTINUE")
    assert connected(data).continue_needed


# -- the size of a body ------------------------------------------------------------------------


def test_a_content_length_above_the_limit_is_refused_before_the_body() -> None:
    connection = connected(length(b"5"), Limits(body=4))
    with pytest.raises(RemoteProtocolError) as caught:
        connection.next_event()
    assert caught.value.status == 413
    assert connection.buffered == 0
    assert connection.receive(b"hello") is Signal.CLOSED


def test_a_limit_of_one_request_is_applied_at_once() -> None:
    connection = connected(length(b"5"))
    with pytest.raises(RemoteProtocolError) as caught:
        connection.set_body_limit(4)
    assert caught.value.status == 413
    assert connection.must_close


def test_a_limit_of_one_request_can_be_higher() -> None:
    connection = connected(length(b"5"), Limits(body=4))
    connection.set_body_limit(5)
    assert isinstance(connection.next_event(), Data)


def test_without_a_limit_of_its_own_a_request_has_the_servers() -> None:
    connection = connected(length(b"5"), Limits(body=4))
    with pytest.raises(RemoteProtocolError):
        connection.set_body_limit(None)


def test_a_limit_is_for_one_request_only() -> None:
    connection = connected(length(b"5"), Limits(body=5))
    connection.set_body_limit(9)
    connection.next_event()
    connection.next_event()
    connection.whole_response(*OK)
    connection.receive(length(b"6"))
    with pytest.raises(RemoteProtocolError):
        connection.next_event()


@given(st.binary(max_size=20), st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=20))
def test_a_body_that_the_server_receives_itself_in_part_ends_like_another(
    content: bytes, steps: list[tuple[int, bool]]
) -> None:
    connection = connected(post(b"Content-Length: 20", body=content))
    come = bytearray()
    steps = [*steps, (20, True), (20, False)]
    event = connection.next_event()
    while True:
        if isinstance(event, Data):
            come += event.data
        elif event is Signal.END_OF_MESSAGE:
            break
        elif (left := connection.left_to_receive()) and steps:
            count, past_the_machine = steps.pop(0)
            piece = bytes(min(count, left))
            if not past_the_machine:
                event = connection.receive(piece)
                continue
            come += piece
            if not connection.left_to_receive(len(piece)):
                break
        event = connection.next_event()
    assert come == content + bytes(20 - len(content))
    assert connection.reading is Reading.DONE
    assert connection.whole_response(*OK)
    assert connection.receive(get()).__class__ is RequestHead


def test_a_body_of_unknown_length_or_in_the_buffer_is_left_to_the_machine() -> None:
    assert connected(chunked(b"")).left_to_receive() == 0
    assert connected(post(b"Content-Length: 5", body=b"hel")).left_to_receive() == 0
    assert connected(post(b"Content-Length: 5", body=b"")).left_to_receive() == 5
    assert connected(get()).left_to_receive() == 0


def test_a_request_without_a_body_exceeds_no_limit() -> None:
    connection = connected(get(), Limits(body=0))
    connection.set_body_limit(0)
    assert connection.whole_response(*OK)


def test_a_chunk_that_would_exceed_the_limit_is_refused_at_its_size() -> None:
    result = outcome(chunked(b"5\r\nhello\r\n1\r\n"), Limits(body=5))
    assert body(result) == b"hello"
    assert result[-1][:2] == ("error", 413)
    assert outcome(chunked(b"5\r\nhello\r\n0\r\n\r\n"), Limits(body=5))[-1][0] == "answer"


def test_the_limit_of_one_request_holds_for_chunks() -> None:
    connection = connected(chunked(b"5\r\nhello\r\n"))
    connection.set_body_limit(4)
    with pytest.raises(RemoteProtocolError) as caught:
        connection.next_event()
    assert caught.value.status == 413


# -- answers before the body has come ----------------------------------------------------------


@pytest.mark.parametrize("data", [length(b"9"), chunked(b"5\r\nhel")])
def test_a_response_before_the_body_has_come_closes(data: bytes) -> None:
    connection = connected(data)
    assert b"\r\nConnection: close\r\n" in connection.whole_response(*OK)
    assert connection.must_close
    assert connection.receive(get()) is Signal.CLOSED


def test_a_response_before_the_end_was_reported_keeps_the_connection() -> None:
    connection = connected(length(b"5"))
    connection.next_event()
    assert b"Connection" not in connection.whole_response(*OK)
    assert isinstance(connection.receive(get()), RequestHead)


def test_a_body_can_come_while_the_answer_leaves() -> None:
    connection = connected(post(b"Content-Length: 5"))
    connection.start_response("200 OK", [], b"")
    connection.receive(b"hello")
    assert connection.next_event() is Signal.END_OF_MESSAGE
    assert connection.send_data(b"hello") == b"5\r\nhello\r\n"
    connection.end_response()
    assert connection.must_close  # as the head of the answer said


# -- what a log needs --------------------------------------------------------------------------


def test_the_request_line_is_there_for_a_log() -> None:
    assert connected(get(target=b"/a?b")).request_line == "GET /a?b HTTP/1.1"


def test_the_request_line_of_a_refused_request_is_there_for_a_log() -> None:
    connection = Machine(Limits())
    with pytest.raises(RemoteProtocolError):
        connection.receive(b"GET /\x1b HTTP/1.1\r\n")
    assert connection.request_line == "GET /\x1b HTTP/1.1"


def test_the_request_line_before_a_request_is_empty() -> None:
    assert Machine(Limits()).request_line == ""


def test_the_request_line_of_the_last_request_is_not_that_of_the_next() -> None:
    connection = connected(get(target=b"/1"))
    connection.whole_response(*OK)
    with pytest.raises(RemoteProtocolError):
        connection.receive(b"\x16\x03\x01")
    assert connection.request_line == ""


# -- refusals ----------------------------------------------------------------------------------


def refused(data: bytes) -> tuple[Machine, bytes]:
    connection = Machine(Limits())
    with pytest.raises(RemoteProtocolError) as caught:
        event = connection.receive(data)
        while event is not Signal.NEED_DATA:
            event = connection.next_event()
    return connection, connection.error_response(caught.value, b"Server: carboy\r\n")


def test_a_refusal_is_a_short_text_that_says_what_was_wrong() -> None:
    connection, data = refused(get(b"A : b"))
    head, _, text = data.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 400 Bad Request",
        b"Server: carboy",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Length: %d" % len(text),
        b"Connection: close",
    ]
    assert text.startswith(b"400 Bad Request: a header name")
    assert connection.must_close


def test_a_tls_client_on_a_plain_port_gets_an_explanation() -> None:
    assert b"this port speaks plain HTTP" in refused(b"\x16\x03\x01\x02\x00\x01")[1]


def test_a_refusal_is_sent_once() -> None:
    connection, _ = refused(b"bad\r\n")
    assert connection.error_response(RemoteProtocolError(400, "again"), b"") == b""


def test_a_refusal_of_a_head_request_has_no_body() -> None:
    data = length(b"999999999999").replace(b"POST", b"HEAD")
    assert refused(data)[1].endswith(b"Connection: close\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [b"HEAD / HTTP/1.1\r\n\r\n", b"HEAD / HTTP/3.0\r\nHost: x\r\n\r\n",
     b"HEAD / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", b"HEAD / HTTP/1.1\r\nA: " + b"b" * 20_000],
)  # fmt: skip
def test_a_refusal_of_a_broken_head_request_has_no_body(data: bytes) -> None:
    """RFC 9110, section 9.3.2: no content in an answer to HEAD, whatever it says."""
    assert refused(data)[1].endswith(b"Connection: close\r\n\r\n")


def test_a_refusal_after_a_head_request_has_its_body() -> None:
    connection = connected(get().replace(b"GET", b"HEAD"))
    connection.whole_response(*OK)
    with pytest.raises(RemoteProtocolError) as caught:
        connection.receive(b"bad\r\n")
    assert connection.error_response(caught.value, b"").endswith(b"\n")


def test_a_refusal_does_not_mix_with_an_answer_that_began() -> None:
    connection = connected(chunked(b"5\r\nhello\r\n"))
    connection.start_response("200 OK", [], b"")
    assert connection.error_response(RemoteProtocolError(400, "bad chunk"), b"") == b""
    assert connection.must_close


def test_the_server_can_refuse_by_itself() -> None:
    connection = Machine(Limits())
    connection.receive(b"GET / HT")
    data = connection.error_response(RemoteProtocolError(408, "too slow"), b"")
    assert data.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert connection.receive(b"TP/1.1\r\nHost: x\r\n\r\n") is Signal.CLOSED


def test_a_message_outside_latin_1_does_not_prevent_a_refusal() -> None:
    connection = Machine(Limits())
    assert connection.error_response(RemoteProtocolError(599, "snow: \u2603"), b"").endswith(b"\n")


# -- the order of calls ------------------------------------------------------------------------


def test_nothing_can_be_answered_before_a_request() -> None:
    connection = Machine(Limits())
    with pytest.raises(LocalProtocolError):
        connection.whole_response(*OK)
    with pytest.raises(LocalProtocolError):
        connection.send_data(b"a")
    with pytest.raises(LocalProtocolError):
        connection.end_response()


def test_a_request_is_answered_once() -> None:
    connection = connected(get())
    connection.whole_response(*OK)
    with pytest.raises(LocalProtocolError):
        connection.whole_response(*OK)
    with pytest.raises(LocalProtocolError):
        connection.start_response("200 OK", [], b"")
    with pytest.raises(LocalProtocolError):
        connection.end_response()


def test_the_server_may_close_after_any_response() -> None:
    connection = connected(get())
    connection.must_close = True
    assert b"\r\nConnection: close\r\n" in connection.whole_response(*OK)
    assert connection.next_event() is Signal.CLOSED


def test_the_writing_state_is_the_framing() -> None:
    connection = connected(get())
    assert connection.writing is Writing.WAITING
    connection.start_response("200 OK", [], b"")
    assert connection.writing is Writing.CHUNKED
    connection.end_response()
    assert connection.writing is Writing.DONE


# -- arbitrary input ---------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(get(), get(b"A: b"), length(b"5"), line(b"GET / HTTP/1.0"), post(b"Content-Length: 3")),
        chunked(b"2\r\nhi\r\n0\r\n\r\n"),
        chunked(b"1;a=b\r\nx\r\n0\r\nA: b\r\n\r\n"),
        *(b"\r\n", b"\n", b"\r", b"0\r\n\r\n", b"\x00", b"GET ", b"/ HTTP/1.1\r\n", b"Host: x\r\n"),
        *(b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n", b"A: b\r\n", b"5\r\n"),
    ]
)
STREAMS = st.lists(PIECES | st.binary(max_size=20), max_size=8).map(b"".join)


@given(STREAMS, st.data())
def test_events_do_not_depend_on_pieces(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    limits = Limits(body=100)
    assert play(pieces, limits, eof=True) == play([stream], limits, eof=True)


@given(STREAMS)
def test_arbitrary_bytes_raise_nothing_but_a_refusal(stream: bytes) -> None:
    result = play([stream], Limits(), eof=True)  # anything else would have been raised
    assert result[-1][0] in ("closed", "error")


METHODS = st.sampled_from(["GET", "POST", "HEAD", "BREW"])
PATHS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"))
FIELD_VALUES = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")
)
FIELD_NAMES = st.text("abcXYZ-!~09", min_size=1).map("x-".__add__)


@given(METHODS, PATHS, st.lists(st.tuples(FIELD_NAMES, FIELD_VALUES), max_size=6), st.binary())
def test_a_valid_request_arrives_as_it_was_sent(
    method: str, path: str, fields: list[tuple[str, str]], content: bytes
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    data = f"{method} /{path} HTTP/1.1\r\nHost: x\r\n{lines}".encode("latin-1")
    data += b"Content-Length: %d\r\n\r\n" % len(content) + content
    result = play([data], Limits())
    [head] = heads(result)
    assert head[1:4] == (method, f"/{path}", f"/{path}")
    assert list(head[7])[1:-1] == [(name, value.strip(" \t")) for name, value in fields]
    assert body(result) == content
