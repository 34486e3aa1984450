"""The programs about channels in docs/realtime.md run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from carboy.realtime.channel_rules import LONGEST_NAME
from carboy.realtime.hold import MOST_CHANNELS
from carboy.realtime.housekeeping import HOOK_THREADS
from carboy.realtime.options import Options
from event_client import EventClient
from realtime_server import clean_environ, post
from running import PATIENCE, Running

PAGE = (Path(__file__).parents[2] / "docs" / "realtime.md").read_text()
PROGRAMS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def test_the_news_reach_a_client(project: Path) -> None:
    environ = clean_environ(project)
    with Running("run", "news:app", "--port", "0", cwd=project, env=environ) as server:
        with EventClient(server.address(), "/news") as client:
            assert post(server.address(), "/news", "text=Hello") == b"sent"
            assert client.data(1) == ["Hello"]


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"up to {MOST_CHANNELS} channels" in PAGE
    assert HOOK_THREADS == 8 and "at\nmost eight at a time" in PAGE
    assert LONGEST_NAME == 200 and "up to 200 bytes" in PAGE
    kept = Options()
    assert f"last {kept.history} messages of each channel for {kept.seconds:.0f} seconds" in PAGE


def test_the_rooms_work(project: Path) -> None:
    options = ("--port", "0", "--workers", "2")
    environ = clean_environ(project)
    with Running("run", "rooms:app", *options, cwd=project, env=environ) as server:
        path = "/rooms/7/events?name=Ann"
        with EventClient(server.address(), path) as client:
            assert json.loads(server.get("/rooms/7/people")[1]) == {
                "count": 1, "names": {"Ann": 1},
            }  # fmt: skip
            post(server.address(), "/rooms/7", "text=Hello")
            (event,) = client.events(1)
            assert (event.type, json.loads(event.data)) == ("said", {"text": "Hello"})
        assert server.get("/rooms/7/events")[0] == 403


def test_the_script_and_the_command_publish(project: Path) -> None:
    environ = clean_environ(project)
    with Running("run", "sockets:app", "--port", "0", cwd=project, env=environ) as server:
        with EventClient(server.address(), "/news") as client:
            for command in (
                ["tell.py"],
                ["-m", "carboy", "publish", "news", '{"open": true}', "--event=status"],
            ):
                done = subprocess.run(
                    [sys.executable, *command], cwd=project, env=environ,
                    capture_output=True, text=True, timeout=PATIENCE, check=False,
                )  # fmt: skip
                assert done.returncode == 0, done.stderr
            first, second = client.events(2)
            assert first.data == "The shop is open."
            assert (second.type, second.data) == ("status", '{"open": true}')
            assert second.last_event_id == done.stdout.strip()


def test_the_rules_are_accepted(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import kept"], cwd=project, env=clean_environ(project),
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
