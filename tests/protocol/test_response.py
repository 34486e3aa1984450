"""Responses: the framing of every kind, and headers that an application may not send."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol import Fields, Limits, LocalProtocolError, Machine, RequestHead, Writing
from carboy.protocol import response as module
from protocol.rules import get, line
from vanishing import Vanishing

EXTRA = b"Server: carboy\r\nDate: Sun, 22 Nov 2026 16:30:11 GMT\r\n"


def connected(method: bytes = b"GET", minor: int = 1, keep: bool | None = None) -> Machine:
    connection = Machine(Limits())
    option = {None: b"", True: b"Connection: keep-alive\r\n", False: b"Connection: close\r\n"}[keep]
    data = line(method + b" / HTTP/1.%d" % minor, b"Host: x\r\n" + option)
    assert isinstance(connection.receive(data), RequestHead)
    return connection


def whole(
    headers: Fields, body: bytes = b"hello", status: str = "200 OK", **request: object
) -> tuple[list[bytes], bytes]:
    """Lines of the head and the body of a whole answer."""
    data = connected(**request).whole_response(status, headers, body, EXTRA)  # type: ignore[arg-type]
    return parts(data)


def parts(data: bytes) -> tuple[list[bytes], bytes]:
    head, found, body = data.partition(b"\r\n\r\n")
    assert found
    return head.split(b"\r\n"), body


# -- every kind of answer ----------------------------------------------------------------------


def expected(
    method: str, minor: int, status: int, length: str | None, size: int, form: str
) -> dict:
    """The framing that RFC 9112, sections 6 and 9, requires, computed without the machine."""
    if status == 205:  # its content is empty, whatever the application says
        length, size = "0", 0
    bodiless = method == "HEAD" or status in (204, 205, 304)
    declared = length is not None and status != 204
    close_delimited = form == "pieces" and not bodiless and not declared and minor == 0
    chunked = form == "pieces" and not bodiless and not declared and minor == 1
    if declared:
        content_length: int | None = int(length or 0)
    elif form == "whole" and status not in (204, 304) and (size or method != "HEAD"):
        content_length = size
    else:
        content_length = None
    sent = 0 if bodiless else size if not declared else min(size, int(length or 0))
    short = declared and not bodiless and sent < int(length or 0)
    return {
        "content-length": content_length,
        "chunked": chunked,
        "sent": sent,
        "close": close_delimited,
        "short": short,
        "excess": declared and not bodiless and size > int(length or 0),
    }


KINDS = list(
    itertools.product(
        ("GET", "HEAD", "POST"),
        (0, 1),
        (True, False),
        (200, 204, 205, 304, 404),
        (None, "0", "5", "9"),
        (b"", b"hello"),
        ("whole", "pieces"),
    )
)


@pytest.mark.parametrize("again", ["first", "remembered"])
def test_every_kind_of_answer_is_framed_as_the_rfc_asks(again: str) -> None:
    for method, minor, keep, status, length, body, form in KINDS:
        case = (method, minor, keep, status, length, body, form)
        want = expected(method, minor, status, length, len(body), form)
        connection = connected(method.encode(), minor, keep)
        headers = [("Content-Type", "text/plain")]
        if length is not None:
            headers.append(("Content-Length", length))
        if form == "whole":
            data = connection.whole_response(f"{status} X", headers, body, EXTRA)
        else:
            data = connection.start_response(f"{status} X", headers, EXTRA)
            data += connection.send_data(body[:2])
            data += connection.send_data(body[2:])
            data += connection.end_response()
        lines, content = parts(data)
        fields = dict(item.split(b": ", 1) for item in lines[1:])
        assert lines[0] == b"HTTP/1.1 %d X" % status, case
        assert len(fields) == len(lines) - 1, ("a field comes twice", case, lines)
        want_length = want["content-length"]
        assert fields.get(b"Content-Length") == (
            None if want_length is None else b"%d" % want_length
        ), case
        assert (fields.get(b"Transfer-Encoding") == b"chunked") is want["chunked"], case
        if want["chunked"]:
            content = unchunk(content)
        assert content == body[: want["sent"]], case  # type: ignore[misc]
        assert (connection.short, bool(connection.excess)) == (want["short"], want["excess"]), case
        said = not keep or want["close"]
        option = b"close" if said else (b"keep-alive" if not minor else None)
        assert fields.get(b"Connection") == option, case
        assert connection.must_close is (said or want["short"]), case
        assert connection.writing is Writing.DONE, case


def unchunk(data: bytes) -> bytes:
    content = b""
    while True:
        size, _, rest = data.partition(b"\r\n")
        count = int(size, 16)
        assert rest[count : count + 2] == b"\r\n"
        if not count:
            assert rest == b"\r\n"
            return content
        content += rest[:count]
        data = rest[count + 2 :]


def test_a_whole_answer_gets_its_length_and_the_default_lines() -> None:
    for _ in "first", "remembered":
        data = connected().whole_response("200 OK", [("A", "b")], b"hello", EXTRA)
        assert data == (b"HTTP/1.1 200 OK\r\nA: b\r\n" + EXTRA + b"Content-Length: 5\r\n\r\nhello")


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ([("Server", "me")], [b"Server: me", EXTRA.split(b"\r\n")[1]]),
        ([("date", "now")], [b"date: now", EXTRA.split(b"\r\n")[0]]),
        ([("SERVER", "me"), ("DATE", "now")], [b"SERVER: me", b"DATE: now"]),
    ],
)
def test_default_lines_are_left_out_one_by_one(own: Fields, left: list[bytes]) -> None:
    for _ in "first", "remembered":
        lines, _body = whole(own)
        assert lines[1:] == [*left, b"Content-Length: 5"]


def test_repeated_headers_are_all_sent_in_order() -> None:
    lines, _ = whole([("Set-Cookie", "a=1"), ("X", "y"), ("Set-Cookie", "b=2")])
    assert lines[1:4] == [b"Set-Cookie: a=1", b"X: y", b"Set-Cookie: b=2"]


def test_an_empty_piece_does_not_end_a_chunked_body() -> None:
    connection = connected()
    connection.start_response("200 OK", [], b"")
    assert connection.send_data(b"") == b""
    assert connection.send_data(b"a" * 16) == b"10\r\n" + b"a" * 16 + b"\r\n"
    assert connection.end_response() == b"0\r\n\r\n"


def test_bytes_sent_by_the_server_itself_are_counted() -> None:
    connection = connected()
    connection.start_response("200 OK", [("Content-Length", "10")], b"")
    assert connection.account(4) == 4
    assert connection.account(7) == 6
    assert connection.excess
    assert connection.end_response() == b""
    assert not connection.short


def test_bytes_the_server_did_not_send_are_missed() -> None:
    connection = connected()
    connection.start_response("200 OK", [("Content-Length", "10")], b"")
    connection.account(4)
    connection.end_response()
    assert connection.short
    assert connection.must_close


def test_bytes_of_a_chunked_body_that_the_server_sends_itself_are_a_chunk() -> None:
    connection = connected()
    connection.start_response("200 OK", [], b"")
    assert connection.writing is Writing.CHUNKED
    assert connection.account(10) == 10
    assert connection.chunk_around(10) == (b"a\r\n", b"\r\n")
    connection = connected()
    connection.start_response("200 OK", [("Content-Length", "10")], b"")
    assert connection.chunk_around(10) == (b"", b"")


def test_trailers_are_lines_after_the_last_chunk() -> None:
    connection = Machine(Limits())
    connection.receive(get(b"TE: trailers"))
    connection.start_response("200 OK", [], b"")
    assert connection.end_response([("X-A", "b"), ("X-C", "")]) == b"0\r\nX-A: b\r\nX-C: \r\n\r\n"


def test_short_and_excess_are_about_one_response() -> None:
    connection = connected()
    connection.whole_response("200 OK", [("Content-Length", "2")], b"hello", b"")
    assert connection.excess
    connection.receive(get())
    connection.start_response("200 OK", [("Content-Length", "2")], b"")
    assert not connection.excess


# -- hop by hop --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["close", "Close", "foo, close"])
def test_an_application_may_close_the_connection(value: str) -> None:
    connection = connected()
    lines, _ = parts(connection.whole_response("200 OK", [("connection", value)], b"", b""))
    assert [item for item in lines if b"close" in item.lower()]
    assert connection.must_close


def test_an_application_cannot_keep_the_connection() -> None:
    lines, _ = whole([("Connection", "keep-alive"), ("Keep-Alive", "timeout=5")], keep=False)
    assert [item for item in lines if b"onnection" in item or b"eep" in item] == [
        b"Connection: close"
    ]


def test_other_connection_options_are_passed_on() -> None:
    lines, _ = whole([("Connection", "upgrade"), ("Upgrade", "h2c")], status="426 X")
    assert b"Connection: upgrade" in lines
    assert b"Upgrade: h2c" in lines


@pytest.mark.parametrize("value", ["chunked", "Chunked", "identity"])
def test_the_server_frames_the_body_even_if_the_application_names_a_coding(value: str) -> None:
    lines, body = whole([("Transfer-Encoding", value)])
    assert not [item for item in lines if item.lower().startswith(b"transfer-encoding")]
    assert b"Content-Length: 5" in lines
    assert body == b"hello"


def test_a_status_204_loses_its_content_length() -> None:
    assert whole([("Content-Length", "5")], status="204 No Content")[0] == [
        b"HTTP/1.1 204 No Content",
        *EXTRA.split(b"\r\n")[:-1],
    ]


def test_a_status_304_keeps_its_content_length() -> None:
    lines, body = whole([("Content-Length", "99")], b"", status="304 Not Modified")
    assert b"Content-Length: 99" in lines
    assert body == b""


def test_two_equal_content_lengths_are_sent_as_one() -> None:
    lines, _ = whole([("Content-Length", "5"), ("content-length", "5")])
    assert [item for item in lines if item.lower().startswith(b"content-length")] == [
        b"Content-Length: 5"
    ]


# -- interim answers ---------------------------------------------------------------------------


def test_an_interim_answer_precedes_the_final_one() -> None:
    connection = connected()
    data = connection.informational("103 Early Hints", [("Link", "</a.css>; rel=preload")])
    assert data == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    assert connection.whole_response("200 OK", [], b"", b"").startswith(b"HTTP/1.1 200")
    with pytest.raises(LocalProtocolError):
        connection.informational("103 Early Hints", [])


def test_an_http_1_0_client_gets_no_interim_response() -> None:
    assert connected(minor=0).informational("103 Early Hints", []) == b""


@pytest.mark.parametrize("status", ["200 OK", "101 Switching Protocols"])
def test_an_interim_answer_has_an_interim_status(status: str) -> None:
    with pytest.raises(LocalProtocolError):
        connected().informational(status, [])


# -- what an application may not send ----------------------------------------------------------

CONTROLS = [chr(c) for c in range(32) if c != 9] + ["\x7f"]
BAD_HEADERS: list[Fields] = [
    *([("A", f"b{c}c")] for c in CONTROLS),
    *([(f"A{c}", "b")] for c in [*CONTROLS, "\t", " ", ":", "(", '"', "\xe4", "\u2603"]),
    [("A", "b\r\nSet-Cookie: c=d")],
    [("", "b")],
    [("A", "\u2603")],
    [("A", "b"), ("C", "d\ne")],
    [("Content-Length", "5"), ("Content-Length", "6")],
    [("Content-Length", "-5")],
    [("Content-Length", "+5")],
    [("Content-Length", "5.0")],
    [("Content-Length", "")],
    [("Content-Length", "\xb2")],
    [("Content-Length", "5, 5")],
    [("Content-Length", "9" * 40)],
    [("Transfer-Encoding", "gzip")],
    [("A", 5)],  # type: ignore[list-item]
    [(b"A", b"b")],  # type: ignore[list-item]
    [("A", None)],  # type: ignore[list-item]
    ["abc"],  # type: ignore[list-item]
    [("A",)],  # type: ignore[list-item]
    [("A", "b", "c")],  # type: ignore[list-item]
    [None],  # type: ignore[list-item]
]
BAD_STATUSES = [
    *(f"200 O{c}K" for c in CONTROLS),
    "200 OK\r\nSet-Cookie: a=b",
    *("", "OK", "20 OK", "2000 OK", " 200 OK", "200OK", "099 X", "\u0662\u0660\u0660 OK"),
    *("200 \u2603", "-200 OK", "2e2 OK", "100 Continue", "101 Switching Protocols"),
]


def fails_and_can_be_answered_with_500(status: object, headers: object) -> None:
    for whole_answer in True, False:
        connection = connected()
        before = (connection.reading, connection.writing, connection.must_close)
        with pytest.raises(LocalProtocolError) as caught:
            if whole_answer:
                connection.whole_response(status, headers, b"hello", EXTRA)  # type: ignore[arg-type]
            else:
                connection.start_response(status, headers, EXTRA)  # type: ignore[arg-type]
        assert str(caught.value).isprintable()
        assert (connection.reading, connection.writing, connection.must_close) == before
        data = connection.whole_response("500 Internal Server Error", [], b"sorry", b"")
        assert data == (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nsorry")


@pytest.mark.parametrize("headers", BAD_HEADERS, ids=ascii)
def test_a_header_that_would_break_the_answer_is_refused(headers: Fields) -> None:
    fails_and_can_be_answered_with_500("200 OK", headers)


@pytest.mark.parametrize("status", BAD_STATUSES, ids=ascii)
def test_a_status_that_would_break_the_answer_is_refused(status: str) -> None:
    fails_and_can_be_answered_with_500(status, [])


@pytest.mark.parametrize("status", [200, b"200 OK", None, ["200 OK"]])
def test_a_status_that_is_not_text_is_refused(status: object) -> None:
    fails_and_can_be_answered_with_500(status, [])


@pytest.mark.parametrize(
    ("status", "first"),
    [
        ("200", b"HTTP/1.1 200 "),
        ("200 ", b"HTTP/1.1 200 "),
        ("299 \xe4\tb", b"HTTP/1.1 299 \xe4\tb"),
    ],
)
def test_a_reason_may_be_unusual(status: str, first: bytes) -> None:
    assert whole([], status=status)[0][0] == first


def test_a_tab_in_a_value_is_harmless() -> None:
    assert b"A: b\tc" in whole([("A", "b\tc")])[0]


def test_a_pair_may_be_a_list() -> None:
    assert b"A: b" in whole([["A", "b"]])[0]  # type: ignore[list-item]


@given(
    st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=4), st.text(max_size=9)
)
def test_no_header_or_reason_adds_a_line(headers: Fields, reason: str) -> None:
    try:
        lines, body = whole(headers, status=f"200 {reason}")
    except LocalProtocolError:
        return
    wire = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length"}
    sent = [item for item in headers if item[0].lower() not in wire]
    assert len(lines) >= 1 + len(sent)
    assert lines[1 : 1 + len(sent)] == [f"{k}: {v}".encode("latin-1") for k, v in sent]
    assert body == b"hello"
    assert all(re.fullmatch(rb"[^\x00-\x08\x0a-\x1f\x7f]+", item) for item in lines)


# -- the memo ----------------------------------------------------------------------------------


def test_the_memo_of_lines_is_bounded() -> None:
    for number in range(3 * module._MEMO_SIZE):
        whole([("Vary", f"{number}")])
        whole([], status=f"200 {number}")
    assert len(module.lines) <= module._MEMO_SIZE
    assert len(module.statuses) <= module._MEMO_SIZE


def test_secrets_and_long_values_are_not_remembered() -> None:
    headers = [
        ("Set-Cookie", "a=s3cret"),
        ("Location", "/reset/s3cret"),
        ("X-Auth-Token", "s3cret"),
        ("WWW-Authenticate", 'Digest nonce="s3cret"'),
        ("Content-Security-Policy", "script-src 'nonce-s3cret'"),
        ("ETag", '"s3cret"'),
        ("Vary", "x" * 1000),
    ]
    for header in headers:
        for _ in range(3):
            whole([("Content-Type", "text/plain"), header])
        kept = [module.lines, module.statuses, module._heads]
        assert header[1] not in repr(kept)


@pytest.mark.parametrize("name", ["lines", "statuses", "_ordinary", "_heads"])
def test_another_engine_may_empty_the_memo_at_any_moment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, Vanishing(getattr(module, name)))
    for _ in range(4):
        lines, body = whole([("Vary", "a"), ("X-A", "b")], status="201 X")
        assert (lines[0], lines[-2:], body) == (
            b"HTTP/1.1 201 X",
            [b"Date: Sun, 22 Nov 2026 16:30:11 GMT", b"Content-Length: 5"],
            b"hello",
        )


def test_a_refused_line_is_not_remembered() -> None:
    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            whole([("A", "b\nc")])
