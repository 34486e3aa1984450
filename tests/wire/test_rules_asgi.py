"""An ASGI application is behind the same rules: the same refusals, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from live_asgi import Message, Receive, Send, body, only_http, served_asgi, start
from live_engine import Live, served
from protocol.rules import ACCEPTED, REFUSED
from wire.talking import converse, in_singles

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
paths: set[str] = set()


@only_http
async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answers with the body once all of it has come, as WSGI does."""
    data = b""
    while (message := await receive())["type"] == "http.request":
        data += message["body"]
        if not message["more_body"]:
            paths.add(scope["path"])
            await send(start())
            await send(body(data))
            return


def wsgi(environ: object, start_response: object) -> list[bytes]:
    raise AssertionError("A request that is refused does not reach the application.")


@pytest.fixture(scope="module")
def asgi() -> Iterator[Live]:
    with served_asgi(echo) as live:
        yield live


@pytest.mark.parametrize("way", ["whole", "byte by byte"])
def test_what_is_refused_is_refused_in_the_same_words(asgi: Live, way: str) -> None:
    split = in_singles if way == "byte by byte" else lambda data: [data]
    sent = [split(rule.data + SMUGGLED) for rule in REFUSED]
    with served(wsgi) as other:
        expected = converse(other.address, sent)
    found = converse(asgi.address, sent)
    for rule, said, wanted in zip(REFUSED, found, expected, strict=True):
        assert said == wanted, rule.sentence
        assert said.startswith(b"HTTP/1.1 %d " % rule.status), rule.sentence
    assert "/smuggled" not in paths


@pytest.mark.parametrize("way", ["whole", "byte by byte"])
def test_what_is_accepted_is_accepted(asgi: Live, way: str) -> None:
    split = in_singles if way == "byte by byte" else lambda data: [data]
    sent = [split(rule.data if b"HTTP/1.0" in rule.data else rule.data + LAST) for rule in ACCEPTED]
    for rule, said in zip(ACCEPTED, converse(asgi.address, sent), strict=True):
        assert said.startswith(b"HTTP/1.1 200 OK\r\n"), rule.sentence
        first, _, _ = said.partition(b"HTTP/1.1 200 OK\r\n")[2].partition(b"HTTP/1.1 ")
        assert first.endswith(b"\r\n\r\n" + rule.body), rule.sentence
