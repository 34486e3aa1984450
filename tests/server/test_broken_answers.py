"""Responses that end early: clients can read the sent bytes, and see that more is missing."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from live_engine import served


def failing(environ, start_response):  # type: ignore[no-untyped-def]
    start_response("200 OK", [("Content-Type", "text/plain")])

    def pieces() -> Iterator[bytes]:
        yield b"the first piece"
        raise RuntimeError("no second one")

    return pieces()


def test_a_client_reads_the_chunks_sent_before_the_application_failed() -> None:
    with served(failing) as live:
        connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=20)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert answer.read(15) == b"the first piece"
            with pytest.raises(http.client.IncompleteRead):
                answer.read()
        finally:
            connection.close()
