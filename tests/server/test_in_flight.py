from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

import pytest

from carboy.server.in_flight import TEXT, InFlight
from live_engine import eventually, hello, served


def exchange(line: str) -> Any:
    class Exchange(SimpleNamespace):
        __hash__ = object.__hash__

    return Exchange(request_line=lambda: line, began=time.monotonic() - 2.0, returned=False)


def test_what_a_child_process_runs_is_read_by_its_parent() -> None:
    shown = InFlight(4)
    child = os.fork()
    if child == 0:
        shown.read(shown.memory, 0, b"GET /quick HTTP/1.1\r\nHost: x\r\nCookie: secret\r\n\r\n")
        shown.begin(exchange("GET /slow HTTP/2.0"))
        os._exit(0)
    os.waitpid(child, 0)
    text = shown.describe()
    assert "GET /slow HTTP/2.0 (for 2." in text
    assert "GET /quick HTTP/1.1 (the last one that was read)" in text
    assert "secret" not in text


def test_a_request_that_has_ended_is_not_listed() -> None:
    shown = InFlight(1)
    for _ in range(3):  # its place is free for the next one
        one = exchange("GET /one HTTP/1.1")
        shown.begin(one)
        assert len(shown.running()) == 1
        shown.end(one)
        shown.end(one)
        assert not shown.running()
    assert shown.describe() == ""


def test_a_request_that_ended_before_it_was_noted_is_not_listed() -> None:
    shown = InFlight(1)
    one = exchange("GET /one HTTP/1.1")
    one.returned = True
    shown.begin(one)
    assert not shown.running()


def test_more_requests_than_places_are_run_without_being_listed() -> None:
    shown = InFlight(1)
    many = [exchange(f"GET /{n} HTTP/1.1") for n in range(3)]
    for each in many:
        shown.begin(each)
    assert [line for line, _ in shown.running()] == ["GET /0 HTTP/1.1"]
    for each in many:
        shown.end(each)
    assert not shown.exchanges


def test_a_piece_of_a_body_is_not_shown() -> None:
    shown = InFlight(1)
    shown.read(shown.memory, 0, b"password=hunter2&user=me")
    assert shown.last_read() == ""
    shown.read(shown.memory, 0, b"\x16\x03\x01")
    assert shown.last_read() == ""


def test_a_long_request_line_is_cut() -> None:
    shown = InFlight(1)
    shown.read(shown.memory, 0, b"GET /" + b"a" * 999 + b" HTTP/1.1\r\n")
    assert len(shown.last_read()) == TEXT


@pytest.mark.parametrize("body", ["", "Content-Length: 2\r\n\r\nok"])
def test_a_request_whose_head_comes_in_two_halves_is_named(body: str) -> None:
    with served(hello) as live, live.client() as client:
        shown = live.engine.shown
        client.send(b"POST /ha")
        eventually(lambda: shown.last_read() == "POST /ha")
        client.send(f"lf HTTP/1.1\r\nHost: a.test\r\n{body or chr(13) + chr(10)}".encode())
        assert client.reply().body == b"hello"
        assert shown.last_read() == "POST /half HTTP/1.1"
