"""Responses of a real engine: order, framing, and headers that an application may not send."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from live_engine import Live, served
from protocol.rules import chunked, get, length, line, post
from wire.talking import converse, in_halves, in_singles

LAST = get(b"Connection: close", target=b"/last")


def app(environ: dict[str, Any], start_response: Any) -> Any:
    """An application whose response depends on the path."""
    path = environ["PATH_INFO"]
    headers = [("Content-Type", "text/plain")]
    status = "200 OK"
    if path == "/header":
        headers.append(("X-Bad", "a\r\nX-Injected: b"))
    elif path == "/name":
        headers.append(("X-Bad\r\nX-Injected", "b"))
    elif path == "/status":
        status = "200 OK\r\nX-Injected: b"
    elif path == "/lengths":
        headers += [("Content-Length", "2"), ("Content-Length", "3")]
    elif path == "/short":
        headers.append(("Content-Length", "10"))
    elif path == "/long":
        headers.append(("Content-Length", "2"))
    elif path == "/empty":
        status = "204 No Content"
    elif path == "/reset":
        status = "205 Reset Content"
    elif path == "/same":
        status = "304 Not Modified"
    start_response(status, headers)
    if path == "/pieces":
        return iter([b"one", b"", b"two"])
    return [path.encode("latin-1")]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with served(app) as live:
        yield live


def alike(live: Live, data: bytes, *, halves: bool = True) -> bytes:
    """The response to `data`, however they arrive."""
    pieces = [[data], in_singles(data), *(in_halves(data) if halves else [])]
    answers = converse(live.address, pieces)
    assert set(answers) == {answers[0]}
    return answers[0]


def test_pipelined_requests_are_answered_in_order(live: Live) -> None:
    said = alike(live, b"".join(get(target=b"/%d" % n) for n in range(5)) + LAST)
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in said.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/0", b"/1", b"/2", b"/3", b"/4", b"/last"]


def test_requests_with_bodies_can_be_pipelined(live: Live) -> None:
    said = alike(live, length(b"5") + chunked(b"5\r\nhello\r\n0\r\nA: b\r\n\r\n") + LAST)
    assert said.count(b"HTTP/1.1 200 OK") == 3
    assert said.endswith(b"/last")


def test_an_unread_body_is_never_read_as_a_request(live: Live) -> None:
    inner = get(target=b"/smuggled")
    said = alike(live, post(b"Content-Length: %d" % len(inner), body=inner) + LAST)
    assert b"/smuggled" not in said
    assert said.endswith(b"/last")


@pytest.mark.parametrize("path", [b"/header", b"/name", b"/status", b"/lengths"])
def test_an_answer_that_would_be_split_becomes_a_500(live: Live, path: bytes) -> None:
    said = alike(live, get(target=path) + LAST, halves=False)
    assert said.startswith(b"HTTP/1.1 500 ")
    assert b"X-Injected" not in said
    assert b"X-Bad" not in said


def test_a_body_shorter_than_its_content_length_ends_the_connection(live: Live) -> None:
    for pieces in ([get(target=b"/short") + LAST], in_singles(get(target=b"/short"))):
        try:
            [said] = converse(live.address, [pieces])
        except ConnectionResetError:
            continue  # a reset shows the error to the client as well as an early end
        assert b"\r\nContent-Length: 10\r\n" in said
        assert said.endswith(b"/short")


def test_a_body_longer_than_its_content_length_is_cut(live: Live) -> None:
    said = alike(live, get(target=b"/long") + LAST)
    assert b"\r\n\r\n/lHTTP/1.1 200 OK\r\n" in said


def test_an_iterator_is_sent_in_chunks(live: Live) -> None:
    said = alike(live, get(b"Connection: close", target=b"/pieces"))
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_an_iterator_is_ended_by_closing_for_http_1_0(live: Live) -> None:
    said = alike(live, line(b"GET /pieces HTTP/1.0"))
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b"onetwo"


@pytest.mark.parametrize("path", [b"/", b"/pieces", b"/empty", b"/same"])
def test_head_is_answered_without_a_body(live: Live, path: bytes) -> None:
    said = alike(live, get(b"Connection: close", target=path).replace(b"GET", b"HEAD"))
    assert said.startswith(b"HTTP/1.1 ")
    assert said.endswith(b"\r\n\r\n")
    assert said.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("path", [b"/empty", b"/same"])
def test_answers_that_have_no_body_send_none(live: Live, path: bytes) -> None:
    said = alike(live, get(target=path) + LAST)
    first, _, second = said.partition(b"\r\n\r\n")
    assert b"Content-Length" not in first
    assert b"Transfer-Encoding" not in first
    assert second.startswith(b"HTTP/1.1 200 OK")


def _reset_content() -> Any:
    """One application on both lanes, whose every answer is a 205 with content."""
    import io

    from carboy import Flask, Response, send_file

    app = Flask(__name__)
    app.add_url_rule("/text", view_func=lambda: ("content", 205), endpoint="text")
    app.add_url_rule(
        "/stream", view_func=lambda: Response(iter(["con", "tent"]), 205), endpoint="stream"
    )
    app.add_url_rule(
        "/length",
        view_func=lambda: Response("content", 205, {"Content-Length": "7"}),
        endpoint="length",
    )

    def file() -> Any:
        response = send_file(io.BytesIO(b"content"), "text/plain")
        response.status_code = 205
        return response

    def real_file() -> Any:
        response = send_file(__file__)
        response.status_code = 205
        return response

    app.add_url_rule("/file", view_func=file)
    app.add_url_rule("/real-file", view_func=real_file)
    return app


@pytest.mark.parametrize("lane", ["direct", "WSGI"])
def test_a_205_is_sent_without_content(lane: str) -> None:
    app = _reset_content()
    if lane == "WSGI":
        app.wsgi_app = partial(app.wsgi_app)
    with served(app) as live:
        for path in (b"/text", b"/stream", b"/length", b"/file", b"/real-file") * 3:
            for method, version in ((b"GET", 1), (b"HEAD", 1), (b"GET", 0)):
                said = live.ask(
                    b"%b %b HTTP/1.%d\r\nHost: x\r\nConnection: close\r\n\r\n"
                    % (method, path, version)
                )
                assert said.startswith(b"HTTP/1.1 205 RESET CONTENT\r\n"), (path, method)
                assert said.count(b"\r\nContent-Length: 0\r\n") == 1, said
                assert b"Transfer-Encoding" not in said
                assert said.endswith(b"\r\n\r\n"), said


def test_a_205_keeps_the_connection(live: Live) -> None:
    said = alike(live, get(target=b"/reset") + LAST)
    first, _, second = said.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 205 Reset Content\r\n")
    assert b"\r\nContent-Length: 0" in first
    assert second.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("data", "first"),
    [
        (post(b"Content-Length: 999999999999"), b"HTTP/1.1 413 Content Too Large"),
        (get(target=b"/" + b"a" * 9000), b"HTTP/1.1 414 URI Too Long"),
        (get(b"A: " + b"b" * 9000), b"HTTP/1.1 431 Request Header Fields Too Large"),
        (get(b"Expect: x"), b"HTTP/1.1 417 Expectation Failed"),
        (line(b"GET / HTTP/3.0"), b"HTTP/1.1 505 HTTP Version Not Supported"),
        (line(b"CONNECT x:1 HTTP/1.1"), b"HTTP/1.1 501 Not Implemented"),
    ],
)
def test_a_refusal_has_the_reason_phrase_of_rfc_9110(live: Live, data: bytes, first: bytes) -> None:
    said = live.ask(data)
    assert said.startswith(first + b"\r\n")
    text = said.partition(b"\r\n\r\n")[2]
    assert text.startswith(first.removeprefix(b"HTTP/1.1 ") + b": ")


def test_http_1_0_can_keep_the_connection(live: Live) -> None:
    data = line(b"GET /a HTTP/1.0", b"Connection: keep-alive\r\n")
    said = alike(live, data + line(b"GET /b HTTP/1.0"))
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert said.count(b"\r\nConnection: keep-alive\r\n") == 1
    assert said.endswith(b"/b")


def test_a_tls_client_on_the_plain_port_gets_an_explanation(live: Live) -> None:
    said = alike(live, bytes.fromhex("16030100f8010000f40303") + bytes(range(64)))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"this port speaks plain HTTP" in said


def test_a_client_that_expects_100_gets_it_once_and_then_its_answer(live: Live) -> None:
    with live.client() as client:
        client.send(post(b"Content-Length: 5", b"Expect: 100-continue"))
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"he")
        client.send(b"llo" + LAST)
        rest = client.rest()
    assert rest.startswith(b"HTTP/1.1 200 OK")
    assert b" 100 " not in rest
    assert rest.endswith(b"/last")


def test_a_client_whose_body_is_too_large_sees_the_answer(live: Live) -> None:
    with live.client() as client:
        client.send(post(b"Content-Length: 999999999999"))
        said = client.rest()
    assert said.startswith(b"HTTP/1.1 413 ")


def test_the_server_answers_after_all_of_these(live: Live) -> None:
    assert live.ask(LAST).endswith(b"/last")
