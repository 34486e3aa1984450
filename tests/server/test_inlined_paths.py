"""Inlined paths of the engine beside the general ones: the same requests, the same bytes.

A first request on an idle connection is read by `Engine._read`, a pipelined one by `Engine._begin`.
Without an access log, `Dispatcher.dispatch` sends a complete response itself; with one,
`Responder.deliver` does, and `KeepAlive.finish` continues.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest

from live_engine import GET, served

REQUESTS = {
    "get": GET,
    "with a query": GET.replace(b"GET / ", b"GET /a/b?c=d "),
    "head": GET.replace(b"GET", b"HEAD"),
    "http 1.0": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "with a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    "chunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nbody\r\n0\r\n\r\n",
}
STATUSES = ("200 OK", "204 No Content", "304 Not Modified", "500 Broken")
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
_date = re.compile(rb"Date: [^\r]+")


def echo_with(status: str) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL")
        start_response(status, [("Content-Type", "text/plain")])
        text = " ".join(environ[name] for name in names).encode()
        return [text + environ["wsgi.input"].read()]

    return app


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("name", REQUESTS)
def test_inlined_and_general_paths_give_the_same_bytes(name: str, status: str) -> None:
    request = REQUESTS[name]
    found = set()
    for record in (False, True):
        with served(echo_with(status), record=record, threads=1) as live:
            for sent in (3 * request + LAST, request + LAST):
                data = _date.sub(b"", live.ask(sent))
                rest, last = data.rsplit(b"HTTP/1.1 ", 1)
                count = sent.count(request)
                assert rest == rest[: len(rest) // count] * count
                found.add((rest[: len(rest) // count], last))
    assert len(found) == 1
