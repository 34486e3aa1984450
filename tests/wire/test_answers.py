"""What comes out of a real engine: order, framing, and what an application may not send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from live_engine import Live, served
from protocol.rules import chunked, get, length, line, post
from wire.talking import converse, in_halves, in_singles

LAST = get(b"Connection: close", target=b"/last")


def app(environ: dict[str, Any], start_response: Any) -> Any:
    """Answers by its path: what the tests below ask for."""
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


def alike(live: Live, octets: bytes, *, halves: bool = True) -> bytes:
    """What `octets` are answered with, however they arrive."""
    pieces = [[octets], in_singles(octets), *(in_halves(octets) if halves else [])]
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
            continue  # the client is told by a reset: as good as by an early end
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


def test_http_1_0_can_keep_the_connection(live: Live) -> None:
    octets = line(b"GET /a HTTP/1.0", b"Connection: keep-alive\r\n")
    said = alike(live, octets + line(b"GET /b HTTP/1.0"))
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert said.count(b"\r\nConnection: keep-alive\r\n") == 1
    assert said.endswith(b"/b")


def test_a_tls_client_on_the_plain_port_is_told_so(live: Live) -> None:
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


def test_the_server_goes_on_after_all_this(live: Live) -> None:
    assert live.ask(LAST).endswith(b"/last")
