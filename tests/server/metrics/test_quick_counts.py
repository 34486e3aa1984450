"""Without an access log, whole responses are counted without a record: the counts are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from carboy import Carboy, Response
from carboy.server.metrics.requests import RECEIVED, SECONDS, SENT, RequestCounts
from live_engine import served

CLOSE = b"Connection: close\r\n\r\n"
TARGETS = (
    b"GET /item/1", b"GET /item/2", b"HEAD /item/1", b"GET /missing", b"POST /item/1",
    b"GET /empty", b"GET /pieces", b"BREW /item/1", b"GET /fails",
)  # fmt: skip


def framework() -> Carboy:
    app = Carboy(__name__)
    app.add_url_rule("/item/<int:number>", view_func=lambda number: "hello", endpoint="item")
    app.add_url_rule("/empty", view_func=lambda: ("", 204), endpoint="empty")
    app.add_url_rule("/pieces", view_func=lambda: Response(iter(["a", "b"])), endpoint="pieces")
    app.add_url_rule("/fails", view_func=lambda: 1 / 0, endpoint="fails")
    return app


def plain(environ: dict[str, Any], start_response: Any) -> Iterator[bytes] | list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/fails":
        raise ValueError
    environ["carboy.route"] = environ["PATH_INFO"][:5]
    return [environ["wsgi.input"].read() or b"hello"]


def counted(app: Any, log: Any) -> Any:
    """The counts of the same requests, with a log or without one; the durations are summed up."""
    counts = RequestCounts((1e-9, 60.0), 100, log)
    requests = [target + b" HTTP/1.1\r\nHost: a\r\n" for target in TARGETS]
    requests += [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n", b"GET / HTTP/1.1\r\n"]
    with served(app, access=counts) as live:
        for _ in range(3):  # from the second time on, the routes are known to be quick
            for request in requests:
                body = b"abc" if b"Content-Length" in request else b""
                live.ask(request + CLOSE + body)
    found = counts.take()
    for each in found["requests"]:
        cell = each[3]
        assert cell[SECONDS] > 0
        each[3] = [cell[SENT], cell[RECEIVED], sum(cell[3:])]
    return sorted(found["requests"]), found["refused"]


@pytest.mark.parametrize("app", [framework, lambda: plain], ids=["framework", "plain"])
@pytest.mark.filterwarnings("ignore")
def test_the_counts_are_those_of_the_records(app: Any) -> None:
    assert counted(app(), None) == counted(app(), lambda record: None)


def test_what_is_not_bounded_is_looked_up_each_time() -> None:
    counts = RequestCounts((1.0,), 1, None)
    assert counts.count is not None
    with served(plain, access=counts) as live:
        for number in range(5):
            live.ask(b"BREW%d /%d HTTP/1.1\r\nHost: a\r\n" % (number, number) + CLOSE)
    (own,) = counts._threads
    assert len(own.quick) <= 1
    assert len(counts.take()["requests"]) == 2
