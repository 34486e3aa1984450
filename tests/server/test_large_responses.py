"""Complete responses whose body is not copied behind their head: the same bytes as others."""

from __future__ import annotations

import re
from typing import Any

import pytest

from carboy.server import responder
from live_engine import GET, LAST, Live, eventually, served

BODY = bytes(range(256)) * 1000
_date = re.compile(rb"Date: [^\r]+")
KINDS = {
    "get": GET + LAST,
    "pipelined": 5 * GET + LAST,
    "head": GET.replace(b"GET", b"HEAD") + LAST,
    "last": LAST,
    "http 1.0": b"GET / HTTP/1.0\r\n\r\n",
    "http 1.0, kept": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + LAST,
    "with a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" + LAST,
}


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    headers = [("Content-Type", "application/octet-stream")]
    if environ["PATH_INFO"] == "/sized":
        headers.append(("Content-Length", str(len(BODY))))
    if environ["PATH_INFO"] == "/short":
        headers.append(("Content-Length", str(len(BODY) + 1)))
    start_response("200 OK", headers)
    return [BODY]


def answers(live: Live, sent: bytes) -> bytes:
    live.ask(LAST)  # the status line is known from then on
    return _date.sub(b"", live.ask(sent))


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("threads", [1, 4])
def test_large_and_copied_responses_have_the_same_bytes(
    record: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[dict[str, bytes]] = []
    for large in (responder.LARGE, len(BODY) + 1):
        monkeypatch.setattr(responder, "LARGE", large)
        monkeypatch.setattr("carboy.server.dispatching.LARGE", large)
        with served(app, record=record, threads=threads) as live:
            found.append(
                {
                    f"{name} {path}": answers(live, sent.replace(b" / ", path.encode()))
                    for name, sent in KINDS.items()
                    for path in (" / ", " /sized ")
                }
            )
            if record:
                eventually(lambda: len(live.records) == 46)
                sizes = {each[5] for each in live.records}
                assert sizes == {0, len(BODY)}
    assert found[0] == found[1]
    assert found[0]["pipelined  / "].count(BODY) == 6


def test_a_slow_client_gets_a_large_response_whole() -> None:
    with served(app) as live, live.client() as client:
        live.get()
        client.send(20 * GET)
        eventually(lambda: any(each.has_unsent for each in live.engine.connections.values()))
        for _ in range(20):
            assert client.reply().body == BODY


def test_a_body_that_is_too_short_closes_the_connection() -> None:
    with served(app) as live:
        live.get()
        data = live.ask(GET.replace(b" / ", b" /short ") + LAST)
        assert data.endswith(BODY) and data.count(b"HTTP/1.1") == 1


def test_a_client_that_leaves_within_a_large_response_does_not_disturb_others() -> None:
    with served(app) as live:
        with live.client() as client:
            client.send(20 * GET)
        assert live.get().body == BODY
