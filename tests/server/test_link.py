"""The two ends of the link between a supervisor and a worker, in one process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from carboy.server.processes.link import LEAVES, LEFT, READY, SupervisorLink, WorkerLink
from running import PATIENCE

Ends = tuple[WorkerLink, SupervisorLink]
orphaned: list[threading.Event] = []  # one for each worker that attends to its link


@pytest.fixture
def ends() -> Iterator[Ends]:
    link = WorkerLink()
    yield link, SupervisorLink(link.told, link.tells)
    link.close()
    while orphaned:
        assert orphaned.pop().wait(PATIENCE)
    link.handed_over()


def attend(worker: SupervisorLink) -> None:
    """Have the worker attend to its link; the process of the tests does not end with the link."""
    gone = threading.Event()
    orphaned.append(gone)

    def stay() -> None:
        gone.set()
        threading.Event().wait()

    worker.attend(stay, PATIENCE)


def test_a_worker_says_that_it_is_ready_that_it_leaves_and_that_it_has_left(ends: Ends) -> None:
    supervisor, worker = ends
    worker.ready()
    worker.leaves()
    worker.left()
    assert supervisor.read() == READY + LEAVES + LEFT
    assert supervisor.take_stacks() == ""


def test_a_report_comes_before_the_worker_is_ready(ends: Ends) -> None:
    supervisor, worker = ends
    worker.report = lambda: {"modules": ["json"]}
    worker.ready()
    assert supervisor.read().endswith(READY)
    assert supervisor.take_messages() == [{"modules": ["json"]}]
    assert supervisor.take_messages() == []


def test_a_report_may_come_in_pieces(ends: Ends) -> None:
    supervisor, _ = ends
    os.write(supervisor.tells, b'\x021;{"modules": ')
    supervisor.read()
    assert supervisor.take_messages() == []
    os.write(supervisor.tells, b"[]}\x03")
    supervisor.read()
    assert supervisor.take_messages() == [{"modules": []}]


def test_the_text_of_a_failure_cannot_be_taken_for_another_message(ends: Ends) -> None:
    supervisor, worker = ends
    worker.failed("cannot import \x06\x04")
    assert READY not in supervisor.read()
    assert supervisor.failure() == "cannot import ??"


def test_a_worker_writes_its_stacks_when_it_is_asked_for_them(ends: Ends) -> None:
    supervisor, worker = ends
    attend(worker)
    worker.ready()
    assert supervisor.read() == READY
    supervisor.take_stacks()
    supervisor.tell(stacks=True)
    supervisor.read()
    assert "Thread MainThread" in supervisor.take_stacks()


def test_messages_of_the_supervisor_are_passed_on(ends: Ends) -> None:
    supervisor, worker = ends
    heard = threading.Event()
    worker.listen = lambda message: heard.set() if message == {"publish": "page"} else None
    attend(worker)
    worker.ready()
    supervisor.tell(publish="page")
    assert heard.wait(PATIENCE)


def test_a_worker_that_does_not_listen_does_not_stop_the_supervisor(ends: Ends) -> None:
    supervisor, worker = ends
    for _ in range(100):
        supervisor.tell(publish="x" * 4000)
    while worker.receive(0.0):
        pass
    supervisor.tell(publish="page")
    assert worker.receive() == {"publish": "page"}


def test_a_worker_learns_that_its_supervisor_has_gone() -> None:
    link = WorkerLink()
    worker = SupervisorLink(link.told, link.tells)
    link.close()
    assert worker.receive() is None
    worker.ready()  # has no effect
    link.handed_over()
