"""Workers forked from template processes, and the packages they have imported at the start."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path

import pytest

from carboy.server.processes import preloading
from carboy.server.processes.link import WorkerLink
from carboy.server.processes.template import TemplateLost, Templates
from running import PATIENCE, in_a_fresh_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

PACKAGE = "package_for_templates"


def work(told: int, tells: int, requests: int) -> int:
    """Write whether the package is imported, wait for an exit code, and end with it."""
    os.write(tells, b"imported" if PACKAGE in sys.modules else b"not imported")
    return int(json.loads(os.read(told, 100) or b'{"code": 0}')["code"])


class Worker:
    """A worker, as its supervisor sees it."""

    def __init__(self, templates: Templates) -> None:
        self.link = WorkerLink()
        self.templates = templates
        self.pid = templates.start(self.link)
        self.link.handed_over()
        self.imported = self.link.read().decode()

    def end(self, code: int = 0) -> int:
        """Have the worker end; returns the reported exit code."""
        self.link.tell(code=code)
        return self.ended()

    def ended(self) -> int:
        await_ended(self.pid)
        return os.waitstatus_to_exitcode(dict(self.templates.ended([self.pid]))[self.pid])


def await_ended(pid: int) -> None:
    """Wait for the end of a child, without reaping it."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def preloaded(templates: Templates, folder: Path, text: str = "") -> Path:
    """Have a package with this text imported; wait until it is, or has turned out to be unfit."""
    sys.path.insert(0, str(folder))  # too late for templates that exist already
    file = folder / f"{PACKAGE}.py"
    file.write_text(text)
    templates.preload([PACKAGE], {str(file): file.stat().st_mtime_ns})
    assert templates._preloaded is not None
    readable, _, _ = select.select([templates._preloaded.sock], [], [], PATIENCE)
    assert readable, "no answer"
    return file


def templates_for(folder: Path) -> Templates:
    sys.path.insert(0, str(folder))
    return Templates(work)


@in_a_fresh_process
def test_a_worker_has_its_descriptors_and_its_end_is_reported() -> None:
    templates = Templates(work)
    first, second = Worker(templates), Worker(templates)
    assert first.imported == "not imported"
    assert second.end(7) == 7
    assert first.end(0) == 0
    templates.end()
    with pytest.raises(ChildProcessError):
        os.wait()


@in_a_fresh_process
def test_a_signal_reaches_one_worker_only() -> None:
    templates = Templates(work)
    first, second = Worker(templates), Worker(templates)
    templates.signal(first.pid, signal.SIGKILL)
    assert first.ended() == -signal.SIGKILL
    templates.signal(first.pid, signal.SIGKILL)
    assert second.end() == 0
    templates.end()


@in_a_fresh_process
def test_packages_in_use_are_imported_before_the_next_worker_starts(tmp_path: Path) -> None:
    templates = templates_for(tmp_path)
    before = Worker(templates)
    preloaded(templates, tmp_path)
    assert templates.is_preloaded
    after = Worker(templates)
    assert (before.imported, after.imported) == ("not imported", "imported")
    assert (before.end(1), after.end(2)) == (1, 2)
    templates.end()


@in_a_fresh_process
def test_a_template_whose_packages_start_threads_is_not_used(tmp_path: Path) -> None:
    templates = templates_for(tmp_path)
    more = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    preloaded(templates, tmp_path, more)
    assert not templates.is_preloaded
    worker = Worker(templates)
    assert (worker.imported, worker.end()) == ("not imported", 0)
    templates.end()


@in_a_fresh_process
def test_a_package_that_ends_its_process_is_not_tried_again(tmp_path: Path) -> None:
    templates = templates_for(tmp_path)
    preloaded(templates, tmp_path, "import os\nos._exit(3)")
    templates.preload([PACKAGE], {})
    assert not templates.is_preloaded
    worker = Worker(templates)
    assert (worker.imported, worker.end(4)) == ("not imported", 4)
    templates.end()


@in_a_fresh_process
def test_packages_that_have_changed_or_are_hidden_are_imported_again(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    templates = templates_for(tmp_path)
    file = preloaded(templates, tmp_path)
    templates.check(project)
    assert templates.is_preloaded
    old = Worker(templates)
    os.utime(file, (1, 1))
    templates.check(project)
    new = Worker(templates)
    assert (new.imported, new.end()) == ("not imported", 0)
    assert old.end(5) == 5  # its template has ended
    preloaded(templates, tmp_path)
    (project / f"{PACKAGE}.py").touch()
    templates.check(project)
    assert not templates.is_preloaded
    templates.end()


@in_a_fresh_process
def test_workers_of_a_template_that_is_killed_go_on(tmp_path: Path) -> None:
    templates = templates_for(tmp_path)
    other = Worker(templates)
    preloaded(templates, tmp_path, f"import os, pathlib\npathlib.Path({str(tmp_path / 'pid')!r})"
           ".write_text(str(os.getpid()))")  # fmt: skip
    orphan = Worker(templates)
    assert orphan.imported == "imported"
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    await_ended(int((tmp_path / "pid").read_text()))
    assert orphan.end(5) == 5
    new = Worker(templates)
    assert (new.imported, new.end()) == ("not imported", 0)
    assert other.end(6) == 6
    templates.end()


@in_a_fresh_process
def test_when_the_first_template_is_killed_an_error_says_so() -> None:
    templates = Templates(work)
    os.kill(templates._first.pid, signal.SIGKILL)
    await_ended(templates._first.pid)
    with pytest.raises(TemplateLost, match=r"Start .* again"):
        templates.start(WorkerLink())
    with pytest.raises(TemplateLost):
        templates.ended()


def test_threads_are_counted() -> None:
    assert preloading.thread_count() >= 1
