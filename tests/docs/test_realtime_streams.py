"""The programs of docs/realtime.md on streams, and of docs/framework.md on serving, run."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from event_stream import read
from live_engine import Client, served

DOCS = Path(__file__).parents[2] / "docs"
PROGRAMS = re.findall(
    r"^```python\n# (\w+\.py)\n(.*?)^```",
    (DOCS / "realtime.md").read_text() + (DOCS / "framework.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


def application(folder: Path, name: str) -> Any:
    (folder / name).write_text(dict(PROGRAMS)[name])
    return runpy.run_path(str(folder / name))["app"]


def first_event(client: Client) -> Any:
    client.until(b"\r\n\r\n")
    data = b""
    while not (events := read(data).events):
        size = int(client.file.readline(), 16)
        data += client.file.read(size)
        client.file.readline()
    return events[0]


@pytest.mark.parametrize(("last", "following"), [(None, "1"), ("41", "42")])
def test_the_clock_sends_events_and_continues(
    tmp_path: Path, last: str | None, following: str
) -> None:
    with served(application(tmp_path, "clock.py")) as live, live.client() as client:
        client.request("GET", "/clock", {} if last is None else {"Last-Event-ID": last})
        event = first_event(client)
    assert (event.type, event.last_event_id) == ("tick", following)
    assert "time" in json.loads(event.data)


def test_streams_are_sent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with served(application(tmp_path, "lines.py")) as live:
        assert live.get("/count?to=4").body == b"0\n1\n2\n3\n"
        reply = live.get("/lines")
        assert reply.body == b"line 0\nline 1\nline 2\n"
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_the_pool_is_there_while_the_worker_serves(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    app = application(tmp_path, "pools.py")
    with app.test_app() as test_app:
        assert "lock" in app.extensions
        assert test_app.test_client().get("/").text == "Hello"
    assert "lock" not in app.extensions
    assert capfd.readouterr().out.splitlines() == [
        "The worker is about to serve.",
        "The worker has served its last request.",
    ]
