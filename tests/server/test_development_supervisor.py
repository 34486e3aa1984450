"""The supervisor of `carboy dev`: real forks and links; the user is a queue of reports."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from carboy.server.processes import development, generations
from carboy.server.processes.development import DevelopmentSupervisor
from carboy.server.processes.link import Message, SupervisorLink
from carboy.server.processes.template import Templates
from running import PATIENCE, in_a_fresh_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

Event = tuple[Any, ...]


def work(folder: Path, told: int, tells: int, requests: int) -> int:
    """A worker reads what it does from a file, like the code of an application."""
    # A pipe instead of an Event: a signal just before Event.wait() would not end the wait.
    stopped, stop = os.pipe()
    os.set_blocking(stop, False)
    news = [{"modules": ["json"], "stamps": {}}]

    def report() -> Message | None:
        return news.pop() | {"order": order} if news else None

    def listen(message: Message) -> None:
        os.write(heard, repr(message).encode() + b"\n")

    link = SupervisorLink(told, tells)
    link.listen, link.report = listen, report
    order = link.receive()
    assert order is not None
    heard = os.open(folder / "heard", os.O_RDWR)
    mode = (folder / "mode").read_text()
    if mode == "hangs while loading":
        (folder / "gate").open().read()
    if mode == "fails":
        link.failed("no such thing")
        return 1
    if mode == "dies" and not order["failure"]:
        os._exit(9)
    signal.set_wakeup_fd(stop)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    link.attend(lambda: os.write(stop, b"x"), 1.0)
    link.ready()
    os.read(stopped, 1)
    if mode == "leaves late":
        (folder / "gate").open().read()
        link.left()
    if mode in ("stays", "leaves late"):
        threading.Event().wait()
    return 0


class Developing:
    """A supervisor in a thread, and what it tells its user."""

    def __init__(self, folder: Path, graceful_timeout: float) -> None:
        self.folder = folder
        (folder / "mode").write_text("serves")
        os.mkfifo(folder / "heard")
        os.mkfifo(folder / "gate")
        self.heard = os.fdopen(os.open(folder / "heard", os.O_RDWR))
        self.told: SimpleQueue[Event] = SimpleQueue()
        self.templates = Templates(functools.partial(work, folder))
        self.supervisor = DevelopmentSupervisor(self.templates, self, folder, graceful_timeout)
        self.code = -1
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.code = self.supervisor.run()

    def save(self, mode: str, *why: str) -> None:
        (self.folder / "mode").write_text(mode)
        self.supervisor.replace(why)

    def expect(self, *event: Any) -> Event:
        """The next report, which begins with `event`."""
        found = self.told.get(timeout=PATIENCE)
        assert found[: len(event)] == event, found
        return found

    def number(self) -> int:
        """The number of the worker that is becoming ready, from its report."""
        return int(self.expect("reported")[1]["order"]["number"])

    def stop(self) -> int:
        self.supervisor.stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self.code

    # --- called as the user's terminal

    def ready(self, first: bool, why: Sequence[str], seconds: float, broken: str) -> None:
        assert seconds >= 0
        self.told.put(("ready", first, tuple(why), broken))

    def failed(self, text: str) -> None:
        self.told.put(("failed", text))

    def ended(self, text: str) -> None:
        self.told.put(("ended", text))

    def reported(self, report: Message) -> None:
        self.told.put(("reported", report))

    def stopped(self) -> None:
        self.told.put(("stopped",))


@contextmanager
def developing(folder: Path, graceful_timeout: float = PATIENCE) -> Iterator[Developing]:
    found = Developing(folder, graceful_timeout)
    found.thread.start()
    yield found
    assert found.stop() == 0
    found.expect("stopped")
    assert found.told.empty()
    with pytest.raises(ChildProcessError):
        os.wait()


@in_a_fresh_process
def test_a_worker_is_replaced_when_files_have_changed(tmp_path: Path) -> None:
    with developing(tmp_path) as it:
        assert it.number() == 1
        it.expect("ready", True, ())
        for number in (2, 3):
            it.save("serves", f"file {number}")
            assert it.number() == number
            it.expect("ready", False, (f"file {number}",))


@in_a_fresh_process
def test_a_worker_that_is_still_loading_is_killed_and_its_reasons_pass_to_the_next(
    tmp_path: Path,
) -> None:
    with developing(tmp_path) as it:
        it.number()
        it.expect("ready", True)
        it.save("hangs while loading", "b")
        with (tmp_path / "gate").open("w"):  # it is loading
            it.save("serves", "a", "c")
            assert it.number() == 3
            it.expect("ready", False, ("a", "b", "c"))


@in_a_fresh_process
def test_new_code_is_reported_when_the_old_worker_takes_no_more_connections(
    tmp_path: Path,
) -> None:
    generations.KILL_DELAY = 0.1
    it = Developing(tmp_path, graceful_timeout=PATIENCE)
    (tmp_path / "mode").write_text("leaves late")
    it.thread.start()
    it.number()
    it.expect("ready", True)
    it.save("serves", "file")
    with (tmp_path / "gate").open("w"):  # the old worker is about to leave
        assert it.number() == 2
        for text in ("a", "b", "c"):  # the supervisor knows by now that the new worker serves
            it.supervisor.tell({"publish": "page", "paths": [text]})
            while f"'paths': ['{text}']" not in it.heard.readline():
                pass
        it.told.put(("the old worker leaves",))
    it.expect("the old worker leaves")
    it.expect("ready", False, ("file",))
    it.supervisor.stop(graceful=False)
    it.thread.join(PATIENCE)


@in_a_fresh_process
def test_a_first_worker_without_an_application_ends_the_program(tmp_path: Path) -> None:
    it = Developing(tmp_path, 1.0)
    (tmp_path / "mode").write_text("fails")
    it.thread.start()
    it.expect("failed", "no such thing")
    it.thread.join(PATIENCE)
    assert it.code == 1
    assert it.told.empty()


@in_a_fresh_process
def test_without_a_template_process_the_program_says_so_and_ends(tmp_path: Path) -> None:
    it = Developing(tmp_path, 1.0)
    it.thread.start()
    it.number()
    it.expect("ready", True)
    os.kill(it.templates._first.pid, signal.SIGKILL)
    assert "was killed" in it.expect("failed")[1]
    it.thread.join(PATIENCE)
    assert it.code == 1
    assert it.told.empty()


@in_a_fresh_process
def test_after_a_worker_that_dies_at_once_the_next_one_serves_the_reason(tmp_path: Path) -> None:
    with developing(tmp_path) as it:
        it.number()
        it.expect("ready", True)
        it.save("dies")
        assert "Save a file" in it.expect("ended")[1]
        failure = it.expect("reported")[1]["order"]["failure"]
        assert failure == "The application's process exited with code 9."
        it.save("serves", "fixed")
        assert it.number() == 4
        it.expect("ready", False, ("fixed",))


@in_a_fresh_process
def test_a_worker_that_dies_after_a_while_is_replaced_at_once(tmp_path: Path) -> None:
    development.YOUNG = -1.0
    with developing(tmp_path) as it:
        it.number()
        it.expect("ready", True)
        it.templates.signal(it.supervisor._newest, signal.SIGKILL)
        assert "another one takes its place" in it.expect("ended")[1]
        assert it.number() == 2
        it.save("serves", "file")
        assert it.number() == 3
        it.expect("ready", False, ("file",))


@in_a_fresh_process
def test_a_worker_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    generations.KILL_DELAY = 0.1
    it = Developing(tmp_path, graceful_timeout=0.1)
    (tmp_path / "mode").write_text("stays")
    it.thread.start()
    it.number()
    it.expect("ready", True)
    it.save("serves", "file")
    assert it.number() == 2
    it.expect("ready", False, ("file",))
    assert it.stop() == 0  # when both have ended


@in_a_fresh_process
def test_a_worker_that_does_not_listen_does_not_stop_the_others(tmp_path: Path) -> None:
    with developing(tmp_path) as it:
        it.number()
        it.expect("ready", True)
        it.save("hangs while loading")
        with (tmp_path / "gate").open("w"):
            for _ in range(100):
                it.supervisor.tell({"publish": "page", "paths": ["x" * 4000]})
            it.save("serves")
            assert it.number() == 3
            it.expect("ready", False)
        it.supervisor.tell({"publish": "page", "paths": ["a"]})
        while "'paths': ['a']" not in it.heard.readline():
            pass


@in_a_fresh_process
def test_a_stop_while_a_worker_is_loading_ends_at_once(tmp_path: Path) -> None:
    with developing(tmp_path) as it:
        it.number()
        it.expect("ready", True)
        it.save("hangs while loading")
        with (tmp_path / "gate").open("w"):
            assert it.stop() == 0


@in_a_fresh_process
def test_a_stop_at_once_does_not_wait_for_the_worker(tmp_path: Path) -> None:
    it = Developing(tmp_path, PATIENCE)
    (tmp_path / "mode").write_text("stays")
    it.thread.start()
    it.number()
    it.expect("ready", True)
    it.supervisor.stop(graceful=False)
    it.expect("stopped")
    it.thread.join(PATIENCE)
    assert it.code == 128 + signal.SIGQUIT
    with pytest.raises(ChildProcessError):
        os.wait()
