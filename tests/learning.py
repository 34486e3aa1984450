"""The course of `carboy learn` inside this process: its servers, a client, and the lessons."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carboy.cli.learn import application
from carboy.cli.learn.client import HOST, Client
from carboy.cli.learn.lessons import Lessons
from carboy.cli.learn.progress import ProgressFile
from carboy.cli.learn.recorder import Recorder
from carboy.cli.learn.server import SETTINGS, Server
from carboy.dev.learn.exchanges import Response, all_of
from carboy.dev.learn.typed import of_text
from carboy.net.listener import listen_tcp
from running import PATIENCE, die_with_parent

COLOUR = re.compile("\x1b\\[[0-9]*[mK]")
COMMAND = [sys.executable, "-m", "carboy", "learn"]


@dataclass
class Course:
    """The parts of a running course."""

    lessons: Lessons
    recorder: Recorder
    client: Client
    port: int
    changed: threading.Condition

    def wait(self, done: object) -> None:
        """Wait until `done()` is true; it is asked whenever the recording has changed."""
        assert callable(done)
        with self.changed:
            assert self.changed.wait_for(done, PATIENCE), self.state()

    def state(self) -> str:
        """The goals, the requests and the responses, for a test that has waited in vain."""
        lines = [f"goals of exercise {self.lessons.number}: {self.lessons.verdicts()}"]
        for each in self.recorder.connections():
            calls = [(call.method, call.args) for call in each.calls]
            lines.append(f"connection {each.number}, closed: {each.closed}: {calls}")
        for exchange in all_of(self.lessons.seen()):
            response = exchange.response
            lines.append(f"{exchange.raw!r}, over: {exchange.is_over}: {response.body!r}")
        recording = self.client.recording
        lines.append(
            f"client: open: {self.client.is_open}, waits: {self.client.waits_for_server},"
            f" recording: {recording and recording.number}"
        )
        return "\n".join(lines)

    def type(self, text: str) -> None:
        """Send typed text, as a learner does, and wait until the server has read it."""
        self.client.send(self.typed(text))
        self.wait(lambda: not self.client.waits_for_server)

    def typed(self, text: str) -> bytes:
        """The bytes of typed text."""
        return of_text(text.replace("{host}", "x"))

    def response(self) -> Response:
        """The response to the newest request."""
        return all_of(self.lessons.seen())[-1].response

    def attempt(self, text: str) -> None:
        """Send text on a new connection, and wait until the server has answered or needs more."""
        self.client.hang_up()
        self.type(text)

    def hint(self, goal: int) -> str:
        """The hint for a goal, which is not reached."""
        verdict = dict(self.lessons.verdicts())[goal]
        assert not verdict.reached, verdict.text
        return verdict.text


@contextmanager
def course(folder: Path, **settings: Any) -> Iterator[Course]:
    """A course whose progress is kept in `folder`."""
    listener = listen_tcp(HOST, 0)
    port = int(listener.getsockname()[1])
    changed = threading.Condition()

    def notify(*_: object) -> None:
        with changed:
            changed.notify_all()

    recorder = Recorder(notify)
    lessons = Lessons(port, recorder, ProgressFile(folder))
    client = Client(port, recorder, notify)
    server = Server(
        application.make("the page"), [listener], recorder.trace, replace(SETTINGS, **settings)
    )
    try:
        yield Course(lessons, recorder, client, port, changed)
    finally:
        client.hang_up()
        server.stop()


class Terminal:
    """The command in a pseudo-terminal."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.ours, theirs = pty.openpty()
        self.child = subprocess.Popen(
            [*COMMAND, "--port", "0", *args],
            cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "XDG_DATA_HOME": str(folder), "BROWSER": "true"},
            preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""

    def wait(self, wanted: str) -> str:
        """Read until the output since the last call has this text; returns that output."""
        end = time.monotonic() + PATIENCE
        while wanted not in (text := " ".join(COLOUR.sub("", self.shown).split())):
            assert time.monotonic() < end, text
            if select.select([self.ours], [], [], 1.0)[0]:
                self.shown += os.read(self.ours, 1 << 16).decode()
        self.shown = ""
        return text

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def port(self) -> int:
        found = re.search(r"sent to 127\.0\.0\.1:(\d+)", self.wait("? lists the commands"))
        assert found is not None
        return int(found[1])

    def course(self) -> str:
        """The address of the page."""
        found = re.search(r"In the browser: (\S+)", self.wait("q ends."))
        assert found is not None
        return found[1]

    def close(self) -> None:
        self.child.kill()
        self.child.wait(PATIENCE)
        os.close(self.ours)

    def ends(self) -> tuple[int, str]:
        """The status, and everything that was written until then."""
        status = self.child.wait(PATIENCE)
        rest = self.shown
        while select.select([self.ours], [], [], 0)[0]:
            try:
                rest += os.read(self.ours, 1 << 16).decode()
            except OSError:
                break
        return status, rest
