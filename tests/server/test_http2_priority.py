"""In which order the responses of an HTTP/2 connection are sent (RFC 9218)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from carboy import Carboy, Response
from http2_client import Http2Client, http2, served_h2c

LARGE = 400_000
WINDOW = 65_535  # of the connection, at first
PRIORITY_UPDATE = 16


def made_app(folder: Path) -> Carboy:
    app = Carboy(__name__, static_folder=str(folder), static_url_path="/static")
    (folder / "large.bin").write_bytes(b"x" * LARGE)

    @app.get("/large")
    def large() -> bytes:
        return b"x" * LARGE

    @app.get("/urgent")
    def urgent() -> Response:
        return Response(b"x" * LARGE, headers={"Priority": "u=0"})

    @app.get("/pieces")
    def pieces() -> Response:
        return Response(b"x" * 20_000 for _ in range(LARGE // 20_000))

    return app


class Order:
    """Responses of which the client has not read more than the window of the connection."""

    def __init__(self, client: Http2Client, priorities: Sequence[str | None], path: str) -> None:
        self.client = client
        self.numbers: list[int] = []
        client.reading = False
        for priority in priorities:
            fields = [] if priority is None else [("priority", priority)]
            self.numbers.append(client.request(path=path, fields=fields))
            if len(self.numbers) == 1:  # it has begun before the others
                client.until(lambda: self.sizes()[0] > 0)
        client.until(lambda: sum(self.sizes()) == WINDOW)
        client.until(lambda: all(client.replies[each].headers for each in self.numbers))

    def sizes(self) -> list[int]:
        return [len(self.client.replies[number].body) for number in self.numbers]

    def more(self, count: int) -> list[int]:
        """The bytes of each response among the next `count` bytes."""
        before = self.sizes()
        self.client.h2.increment_flow_control_window(count)
        self.client.flush()
        self.client.until(lambda: sum(self.sizes()) == sum(before) + count)
        return [now - then for now, then in zip(self.sizes(), before, strict=True)]

    def finish(self) -> None:
        self.client.reading = True
        self.client.h2.increment_flow_control_window(10 * LARGE)
        self.client.flush()
        for number in self.numbers:
            assert len(self.client.reply(number).body) == LARGE


@contextmanager
def order(
    folder: Path, *priorities: str | None, path: str = "/large", **settings: Any
) -> Iterator[Order]:
    with (
        served_h2c(made_app(folder), **settings) as live,
        http2(live, INITIAL_WINDOW_SIZE=2_000_000) as client,
    ):
        yield Order(client, priorities, path)


@pytest.mark.parametrize("path", ["/large", "/static/large.bin"])
def test_responses_that_are_of_use_only_whole_are_sent_one_after_another(
    tmp_path: Path, path: str
) -> None:
    with order(tmp_path, "u=3", "u=3", "u=3", path=path) as made:
        rest = LARGE - made.sizes()[0]
        assert made.more(rest) == [rest, 0, 0]
        rest = LARGE - made.sizes()[1]
        assert made.more(rest + 10) == [0, rest, 10]
        made.finish()


@pytest.mark.parametrize("path", ["/large", "/static/large.bin", "/pieces"])
@pytest.mark.parametrize("priority", ["u=3, i", None], ids=["incremental", "not given"])
def test_responses_that_are_of_use_in_parts_share_the_connection(
    tmp_path: Path, path: str, priority: str | None
) -> None:
    with order(tmp_path, priority, priority, priority, path=path) as made:
        before = made.sizes()
        sent = [False] * 3
        while not all(sent):  # a file or a generator may have its first bytes later than the others
            assert sum(made.sizes()) - sum(before) < 3 * LARGE // 2, made.sizes()
            sent = [old or new > 0 for old, new in zip(sent, made.more(1000), strict=True)]
        made.finish()


def test_a_more_urgent_response_overtakes_one_that_has_begun(tmp_path: Path) -> None:
    with order(tmp_path, "u=5, i", "u=1", "u=3") as made:
        rest = LARGE - made.sizes()[1]
        assert made.more(rest) == [0, rest, 0]
        rest = LARGE - made.sizes()[2]
        assert made.more(rest) == [0, 0, rest]
        made.finish()


def test_a_priority_update_changes_the_order(tmp_path: Path) -> None:
    with order(tmp_path, "u=3", "u=3") as made:
        payload = made.numbers[1].to_bytes(4) + b"u=0"
        head = len(payload).to_bytes(3) + bytes((PRIORITY_UPDATE, 0)) + bytes(4)
        made.client.sock.sendall(head + payload)
        assert made.more(100_000) == [0, 100_000]
        made.finish()


def test_the_priority_of_the_response_has_precedence(tmp_path: Path) -> None:
    with (
        served_h2c(made_app(tmp_path)) as live,
        http2(live, INITIAL_WINDOW_SIZE=2_000_000) as client,
    ):
        made = Order(client, ["u=2"], "/large")
        number = client.request(path="/urgent", fields=[("priority", "u=6")])
        made.numbers.append(number)
        client.until(lambda: client.replies[number].headers)
        assert made.more(100_000) == [0, 100_000]
        made.finish()


def test_a_response_that_waits_for_others_is_not_that_of_a_slow_client(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"write_grace": 0.5, "silence_timeout": 0.5}
    with order(tmp_path, "u=1", "u=4", **limits) as made:
        for _ in range(20):  # the limits have passed for the second one by then
            assert made.more(300) == [300, 0]
            threading.Event().wait(0.1)
        made.finish()


@pytest.mark.parametrize("path", ["/large", "/static/large.bin", "/pieces"])
def test_all_responses_end_with_one_thread(tmp_path: Path, path: str) -> None:
    with (
        served_h2c(made_app(tmp_path), threads=1) as live,
        http2(live, INITIAL_WINDOW_SIZE=2_000_000) as client,
    ):
        numbers = [
            client.request(path=path, fields=[("priority", each)]) for each in ("u=3", "u=1", "i")
        ]
        for number in numbers:
            assert len(client.reply(number).body) == LARGE
