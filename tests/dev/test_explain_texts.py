"""What is told of calls in the terminal and in the report."""

from __future__ import annotations

import re

import pytest

from carboy.dev.explain import places, report, terminal
from explained import explanation, node


def test_times_are_in_the_unit_that_reads_best() -> None:
    assert terminal.duration(999) == "1.0 µs"
    assert terminal.duration(999_949) == "999.9 µs"
    assert terminal.duration(1_234_567) == "1.23 ms"
    assert terminal.duration(12_345_678_900) == "12,345.68 ms"


@pytest.fixture
def found() -> object:
    send = node("socket.send", places.KERNEL, time=300)
    answer = node("Connection.whole_response", "protocol", module="carboy.protocol.connection")
    answer.args = (("self", "<Connection>"), ("status", "'200 `OK`'"))
    answer.result = "b'HTTP/1.1 200 OK…'"
    view = node("view", places.APPLICATION, time=5000)
    return explanation(node("Engine._read", "server", view, answer, send, time=10_000))


def test_shares_are_of_each_rooms_own_time(found: object) -> None:
    text = terminal.show(found)  # type: ignore[arg-type]
    assert text.startswith("GET / → 200 OK, 2 octets; 4 calls in 10.0 µs from accept()")
    assert re.search(r"your application +5\.0 µs +50% +1 calls +█+\n", text)
    assert re.search(r"carboy\.server +3\.7 µs +37% ", text)


def test_without_colours_there_is_no_escape_sequence(found: object) -> None:
    assert "\x1b" not in terminal.show(found)  # type: ignore[arg-type]
    coloured = terminal.show(found, coloured=True)  # type: ignore[arg-type]
    assert "\x1b]8;;file:///lib/protocol.py\x1b\\protocol.py:10-20\x1b]8;;\x1b\\" in coloured
    bare = re.sub(r"\x1b\[[\d;]*m|\x1b\]8;;[^\x1b]*\x1b\\", "", coloured)
    assert bare == terminal.show(found)  # type: ignore[arg-type]


def test_the_report_says_what_went_in_and_out(found: object) -> None:
    text = report.make(found)  # type: ignore[arg-type]
    assert "1. **The answer becomes octets**: `Connection.whole_response`, 1.0 µs.\n" in text
    assert "   - in: ``status = '200 `OK`'``\n" in text
    assert "   - out: `b'HTTP/1.1 200 OK…'`\n" in text
    assert "   - a system call, made by server.py:10-20\n" in text
    assert "| carboy | " in text
    assert "kernel |" not in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
