"""The commands that change a running server, and `carboy stacks`."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from admin_commands import Project, project
from carboy.cli.admin.drain import command as drain
from carboy.cli.admin.log_level import command as log_level
from carboy.cli.admin.memory import command as memory
from carboy.cli.admin.reload import command as reload
from carboy.cli.admin.scale import command as scale
from carboy.cli.admin.stacks import command as stacks
from carboy.cli.admin.status import command as status
from running import PATIENCE, Running

__all__ = ["project"]


def until(project: Project, done: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The workers, once they are as a test wants them."""
    for _ in range(2000):
        workers: list[dict[str, Any]] = project.value(status, "--timeout", "30")["workers"]
        if done(workers):
            return workers
    raise AssertionError(workers)


def serving(count: int) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda workers: [each["state"] for each in workers] == ["serving"] * count


def quietly(server: Running) -> None:
    """Ask for what is never answered."""
    with suppress(OSError, http.client.HTTPException):
        server.get("/lock")


def test_a_reload_is_over_when_the_command_ends(project: Project) -> None:
    with project.serve("--workers", "2") as server:
        before = {each["pid"] for each in until(project, serving(2))}
        assert "Reloaded within" in project.run(reload, "--timeout", str(PATIENCE))
        after = project.value(status)["workers"]
        assert before.isdisjoint(each["pid"] for each in after if each["state"] == "serving")
        assert server.get("/")[1] == b"hello"


def test_a_reload_of_code_that_does_not_load_is_an_error(project: Project) -> None:
    with project.serve() as server:
        (project.folder / "shop.py").write_text("syntax error")
        text = project.error(reload, "--timeout", str(PATIENCE))
        assert "The new code could not be loaded, or" in text
        assert "The old workers continue to serve." in text
        assert server.get("/")[1] == b"hello"


def test_a_process_without_a_supervisor_is_reloaded_and_cannot_be_scaled(project: Project) -> None:
    with project.serve("--no-supervisor") as server:
        assert "has no supervisor" in project.error(scale, "2")
        assert "has no supervisor" in project.error(drain, str(server.pid))
        assert "loads the application again" in project.run(reload)
        server.line("is serving", 2)
        assert server.get("/")[1] == b"hello"


def test_the_number_of_workers_is_changed(project: Project) -> None:
    with project.serve():
        assert "is 2 now; it was 1." in project.run(scale, "2")
        until(project, serving(2))
        assert project.value(scale, "1") == {"before": 2, "workers": 1}
        until(project, serving(1))
        assert "must be a number from 1 to 500, not 501." in project.error(scale, "501")


def test_a_worker_that_is_drained_finishes_its_request_and_is_replaced(project: Project) -> None:
    with project.serve("--workers", "2") as server:
        until(project, serving(2))
        found: list[tuple[int, bytes]] = []
        asking = threading.Thread(target=lambda: found.append(server.get("/waits")))
        asking.start()
        workers = until(project, lambda found: any(each["requests"] for each in found))
        busy = next(each["pid"] for each in workers if each["requests"])
        assert "another worker takes its place" in project.run(drain, str(busy))
        until(project, lambda found: sum(each["state"] == "serving" for each in found) == 2)
        assert f"Worker {busy} is stopping." in project.error(drain, str(busy))
        (project.folder / "go").touch()
        asking.join(PATIENCE)
        assert found == [(200, b"went")]
        assert busy not in {each["pid"] for each in until(project, serving(2))}


def test_the_only_worker_is_drained_when_another_one_is_ready(project: Project) -> None:
    with project.serve() as server:
        worker = until(project, serving(1))[0]["pid"]
        assert "This is the only worker." in project.error(drain, str(worker), "--no-replace")
        assert "as soon as the worker that replaces it is ready" in project.run(drain, str(worker))
        until(project, lambda found: serving(1)(found) and found[0]["pid"] != worker)
        assert server.get("/")[1] == b"hello"
        assert f"There is no worker {worker}." in project.error(drain, str(worker))


def test_a_worker_that_is_drained_without_a_replacement_leaves_one_fewer(project: Project) -> None:
    with project.serve("--workers", "2"):
        worker = until(project, serving(2))[0]["pid"]
        assert "it is not replaced" in project.run(drain, str(worker), "--no-replace")
        until(project, serving(1))
        assert project.value(status)["server"]["target"] == 1


def test_a_level_is_set_in_all_workers_and_in_later_ones(project: Project) -> None:
    with project.serve("--workers", "2"):
        until(project, serving(2))
        found = project.value(log_level, "shop.orders", "debug")
        assert [each["level"] for each in found["workers"].values()] == ["DEBUG", "DEBUG"]
        project.run(reload, "--timeout", str(PATIENCE))
        text = project.run(log_level, "shop.orders")
        assert text.count(": DEBUG\n") >= 2
        text = project.run(log_level, "shop.orders", "default")
        assert text.count("DEBUG → NOTSET (WARNING)") >= 2
        assert "'loud' is not a level. Use CRITICAL" in project.error(log_level, "root", "loud")


@pytest.mark.parametrize("how", ["--supervisor", "--no-supervisor"])
def test_the_stacks_show_the_calls_of_a_request(project: Project, how: str) -> None:
    with project.serve(how) as server:
        asking = threading.Thread(target=server.get, args=("/waits",))
        asking.start()
        server.line("waits now")
        text = project.run(stacks)
        assert "1 with a request" in text and "GET /waits HTTP/1.1 (for " in text
        assert "in waits\n    time.sleep(0.02)" in text or "in waits\n    while" in text
        assert "Thread MainThread" in project.run(stacks, "--all")
        (project.folder / "go").touch()
        asking.join(PATIENCE)
        assert "There is no worker 1." in project.error(stacks, "1")


@pytest.mark.parametrize("how", ["--supervisor", "--no-supervisor"])
def test_the_memory_of_a_worker_is_shown(project: Project, how: str) -> None:
    with project.serve(how, PYTHONTRACEMALLOC="1"):
        text = project.run(memory, "--timeout", str(PATIENCE))
        assert " resident; " in text and "builtins.dict" in text and "LINE" in text
        found = project.value(memory, "--timeout", str(PATIENCE))["workers"][0]
        assert found["rss"] > 1_000_000 and found["traced"]


def test_the_stacks_of_a_worker_whose_lock_is_held_are_written_in_c(project: Project) -> None:
    with project.serve() as server:
        worker = until(project, serving(1))[0]["pid"]
        asking = threading.Thread(target=quietly, args=(server,))
        asking.start()
        server.line("locks now")
        for _ in range(1000):
            text = project.run(stacks, "--timeout", "0.1")
            if "most recent call first" in text:
                break
        assert "does not answer" in text and "in lock" in text and "GET /lock" in text
        silent = project.value(status, "--timeout", "0.1")["workers"][0]
        assert silent["silent"] > 2 and not silent["answers"]
        os.kill(worker, signal.SIGKILL)
        asking.join(PATIENCE)
