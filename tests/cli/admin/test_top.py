"""`carboy top`: figures of an interval, and a terminal that is left as it was."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from admin_commands import Project, project
from carboy.cli.admin.screen import ENTER, LEAVE, RESIZED, Screen
from carboy.cli.admin.top import command as top
from carboy.cli.admin.top_figures import figures, percentile
from carboy.cli.admin.top_lines import divided, fitted, lines
from running import PATIENCE

__all__ = ["project"]

BOUNDS = [0.01, 0.1, 1.0]


def sample(clock: float, **buckets: list[int]) -> dict[str, Any]:
    """A response of GET /top with these counts of routes."""
    routes = [
        {"route": f"/{name}", "method": "GET", "requests": sum(counts), "errors": counts[-1],
         "seconds": 1.0, "buckets": counts}
        for name, counts in buckets.items()
    ]  # fmt: skip
    server = {
        "carboy": "0.1.0", "application": "shop:app", "addresses": ["http://127.0.0.1:8000/"],
        "pid": 1, "state": "serving", "started": 1000.0, "reloading": False, "reloads": 0,
        "folder": "/srv",
    }  # fmt: skip
    return {"time": 1010.0, "clock": clock, "server": server, "counted": True, "bounds": BOUNDS,
            "routes": routes, "workers": []}  # fmt: skip


def test_figures_are_differences_of_two_samples() -> None:
    found = figures(sample(5.0, a=[4, 0, 0, 0]), sample(7.0, a=[8, 0, 0, 2], b=[1, 0, 0, 0]))
    first, second = found.routes
    assert (first.route, first.requests, first.rate, first.errors) == ("/a", 6, 3.0, 2)
    assert (second.requests, second.total, second.error_rate) == (1, 1, 0.0)
    assert not found.since_start and found.seconds == 2.0


def test_without_an_earlier_sample_of_the_server_the_figures_are_those_since_its_start() -> None:
    other = sample(5.0, a=[40, 0, 0, 0])
    other["server"]["started"] = 900.0
    for before in (None, other):
        found = figures(before, sample(7.0, a=[20, 0, 0, 0]))
        assert found.since_start and found.seconds == 10.0 and found.routes[0].rate == 2.0


def test_a_percentile_is_within_its_bucket() -> None:
    assert percentile(0.5, BOUNDS, [0, 10, 0, 0]) == pytest.approx(0.055)
    assert percentile(0.5, BOUNDS, [10, 0, 0, 0]) == pytest.approx(0.005)
    assert percentile(0.99, BOUNDS, [0, 0, 0, 3]) == 1.0  # longer than all bounds
    assert percentile(0.99, BOUNDS, [0, 0, 0, 0]) is None


@pytest.mark.parametrize(
    ("order", "first"), [("rate", "/often"), ("latency", "/slow"), ("errors", "/bad")]
)
def test_routes_are_sorted(order: str, first: str) -> None:
    now = sample(1.0, often=[90, 0, 0, 0], slow=[0, 0, 50, 0], bad=[60, 0, 0, 0])
    now["routes"][2]["errors"] = 3
    assert figures(None, now, order).routes[0].route == first


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (20, 5), (200, 60), (1, 1)])
def test_the_lines_fit_the_terminal(size: tuple[int, int]) -> None:
    width, height = size
    many = {f"route{i}": [i, 0, 0, 0] for i in range(30)}
    shown = lines(figures(None, sample(1.0, **many)), width, height)
    assert len(shown) == height
    assert all(len(line) <= width for line in shown)
    if height == 24:
        assert any("… " in line and "more" in line for line in shown)


def test_a_line_is_cut_by_columns_and_has_no_control_characters() -> None:
    assert fitted("a\x1b[31mb\x9b", 80) == "a?[31mb?"
    assert fitted("注文一覧", 8) == "注文一覧"
    assert fitted("注文一覧", 6) == "注文…"


def test_tables_share_the_room() -> None:
    assert divided(15, [2, 30, 3]) == [2, 10, 3]
    assert divided(4, [9, 9, 9]) == [2, 1, 1]
    assert divided(-3, [1, 1, 1]) == [0, 0, 0]


@pytest.mark.parametrize("how", [("--workers", "2"), ("--no-supervisor",)])
def test_one_interval_has_the_routes_of_all_workers(project: Project, how: tuple[str, ...]) -> None:
    with project.serve(*how) as server:
        for _ in range(3):
            server.get("/")
        found = project.value(top, "--once", "--interval", "0.1")
        route = next(each for each in found["routes"] if each["route"] == "/")
        assert (route["method"], route["total"]) == ("GET", 3)
        assert len(found["workers"]) == (2 if "--workers" in how else 1)
        text = project.run(top, "--interval", "0.1")  # standard output is not a terminal
        assert (
            "requests/s" in text and "GET" in text and "WORKER" in text and "q: leave" not in text
        )


def test_without_counts_the_rest_is_shown(project: Project) -> None:
    with project.serve("--no-metrics"):
        text = project.run(top, "--interval", "0.1")
        assert "Requests are not counted (--no-metrics)." in text and "serving" in text


class Terminal:
    """A terminal of 80 columns and 24 lines with a program in it."""

    def __init__(self, *args: str) -> None:
        self.own, end = pty.openpty()
        self.before = termios.tcgetattr(end)
        self.resize(80, 24)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "carboy", *args], stdin=end, stdout=end, stderr=end,
            env={**os.environ, "TERM": "xterm"}, start_new_session=True,
        )  # fmt: skip
        self.end = end
        self.text = ""

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.own, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def until(self, part: str) -> str:
        """The text up to this part; the rest is for the next call."""
        end = time.monotonic() + PATIENCE
        while part not in self.text:
            assert select.select([self.own], [], [], end - time.monotonic())[0], self.text
            self.text += os.read(self.own, 65536).decode()
        found, _, self.text = self.text.partition(part)
        return found

    def write(self, keys: bytes) -> None:
        os.write(self.own, keys)


@contextmanager
def terminal(*args: str) -> Iterator[Terminal]:
    found = Terminal(*args)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()
        os.close(found.own)
        os.close(found.end)


def test_the_terminal_is_as_before_when_top_is_left(project: Project) -> None:
    with project.serve() as server:
        server.get("/pid")
        for leave, code in ((None, 0), (signal.SIGINT, 0), (signal.SIGTERM, 143)):
            with terminal("top", "--interval", "0.1") as shown:
                shown.until(ENTER)
                shown.until("/pid")
                if leave is None:
                    shown.write(b"q")
                else:
                    shown.process.send_signal(leave)
                shown.until(LEAVE)
                assert shown.process.wait(PATIENCE) == code
                assert termios.tcgetattr(shown.end) == shown.before


def test_top_follows_the_size_of_the_terminal_and_takes_keys(project: Project) -> None:
    with project.serve() as server, terminal("top", "--interval", "600") as shown:
        server.get("/")
        shown.until("errors")
        shown.resize(30, 10)
        shown.process.send_signal(signal.SIGWINCH)
        shown.until("q: leave  r, l, e: sort by ra…")
        shown.resize(80, 24)
        shown.process.send_signal(signal.SIGWINCH)
        shown.until("sort by rate, latency, errors")
        shown.write(b"e")
        shown.until("sort by rate, latency, errors")
        shown.write(b"q")
        assert shown.process.wait(PATIENCE) == 0


def resize_when_asleep(thread: int) -> None:
    """Send SIGWINCH to this thread once the other one waits: 50 looks in a row find it asleep."""
    stat, asleep = Path(f"/proc/self/task/{thread}/stat"), 0
    while asleep < 50:
        asleep = asleep + 1 if stat.read_text().rpartition(")")[2].split()[0] == "S" else 0
    signal.pthread_kill(threading.get_ident(), signal.SIGWINCH)


def test_a_signal_that_another_thread_gets_wakes_the_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, end = pty.openpty()
    with open(own, "r+b", buffering=0), open(end, "r+b", buffering=0) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        with Screen() as screen:
            thread = threading.Thread(target=resize_when_asleep, args=(threading.get_native_id(),))
            thread.start()
            assert screen.key(PATIENCE) == RESIZED
            thread.join()


def test_top_ends_with_an_error_when_the_server_has_ended(project: Project) -> None:
    with project.serve() as server, terminal("top", "--interval", "0.1") as shown:
        shown.until("requests/s")
        server.stop()
        shown.until("The server has ended.")
        assert shown.process.wait(PATIENCE) == 1


def test_each_interval_is_one_object_on_one_line(project: Project) -> None:
    with project.serve():
        process = subprocess.Popen(
            [sys.executable, "-m", "carboy", "top", "--json", "--interval", "0.1"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            found = [json.loads(process.stdout.readline()) for _ in range(2)]
            assert found[1]["time"] > found[0]["time"]
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.communicate()
