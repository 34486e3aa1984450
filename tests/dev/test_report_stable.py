"""Numbers that differ in every run are replaced, and no others."""

from __future__ import annotations

import time
from email.utils import formatdate

from carboy.dev.explain.places import of_c
from carboy.dev.explain.recording import Function, Process, RecordedCall, Recording
from carboy.dev.report.stable import settle

ADDRESS = "127.0.0.1:5000"
# The recording's moment of the monotonic clock, in seconds. The clock of the machine would do only
# while it is far from every number below: 43210 is twelve hours after the start of a machine.
STARTED = 5_000_000


def settled(text: str, pid: int = 4711, several: bool = False) -> str:
    """The text of an argument, in a recording with a connection from port 43210."""
    now = STARTED * 10**9
    ends = (("own", ADDRESS), ("peer", "127.0.0.1:43210"), ("value", text))
    call = RecordedCall(0, -1, 0, -1, 0, now, now, now + 1, ends)
    process = Process(pid, "3.11", [Function("socket.recv", "", of_c("socket.recv"))], [""], [call])
    others = [Process(4712, "3.11")] if several else []
    settle(Recording("app", "x", ADDRESS, "GET /", "200 OK", 2, [process, *others]))
    return dict(call.args)["value"]


def test_the_port_of_the_client_and_the_number_of_the_process_have_names() -> None:
    assert settled("('127.0.0.1', 43210) 4711") == "('127.0.0.1', CLIENT_PORT) PID"
    assert settled("4711 4712", several=True) == "PID_1 PID_2"
    assert settled("143210 4321 43210.5 x43210 7", pid=7) == "143210 4321 43210.5 x43210 7"


def test_times_have_names() -> None:
    assert settled(f"now = {STARTED + 30.25}") == "now = CLOCK"
    assert settled(f"now = {time.time()}") == "now = TIME"
    assert settled(f"Date: {formatdate(usegmt=True)}") == "Date: TIME"


def test_other_numbers_and_dates_stay() -> None:
    for text in ("3.14159", "1700000000.5", "Wed, 21 Oct 2015 07:28:00 GMT", "1.1.2", "0.0"):
        assert settled(text) == text
    assert settled("Wed, 99 Foo 2015 07:28:00 GMT") == "Wed, 99 Foo 2015 07:28:00 GMT"
