"""Functions of the application that run when workers start, stop and crash."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from carboy.gateway.mounts import mount
from carboy.server.hooks import NAMES, Crash, Hook, HookFailed, Hooks
from running import Running, children

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")

APP = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""
HOOKS = """
import os

def say(name):
    os.write(1, f"{name} {os.getpid()}\\n".encode())

def before_fork(): say("before_fork")
def after_fork(): say("after_fork")
def worker_start(): say("worker_start")
def worker_stop(): say("worker_stop")
def worker_crash(crash): say(f"worker_crash {crash.pid} {crash.how.split()[-1]}")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    (tmp_path / "shop_hooks.py").write_text(HOOKS)
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    return Running("run", "service", "-p", "0", *args, cwd=folder)


def said(server: Running) -> list[str]:
    return [line.rstrip("\n") for line in server.out if line.startswith(NAMES)]


# --- which functions are called


class Application:
    def __init__(self, name: str, calls: list[str]) -> None:
        self.worker_start = lambda: calls.append(name)

    def __call__(self, environ: object, start_response: object) -> Iterator[bytes]:
        return iter(())


class Middleware:
    def __init__(self, app: object) -> None:
        self.app = app

    def __call__(self, environ: object, start_response: object) -> Iterator[bytes]:
        return iter(())


def test_hooks_of_the_module_come_before_those_of_the_application() -> None:
    calls: list[str] = []
    module = type(sys)("module")
    module.worker_start = lambda: calls.append("module")  # type: ignore[attr-defined]
    Hooks(module, Middleware(Application("application", calls))).run(Hook.WORKER_START)
    assert calls == ["module", "application"]


def test_each_mounted_application_has_hooks() -> None:
    calls: list[str] = []
    mounts = mount(Application("root", calls), {"/api": Application("api", calls)})
    Hooks(None, mounts).run(Hook.WORKER_START)
    assert calls == ["root", "api"]


def test_without_functions_nothing_is_called() -> None:
    for hook in Hook:
        Hooks(None, lambda environ, start: []).run(hook)


def test_an_error_names_the_hook_and_has_the_traceback() -> None:
    module = type(sys)("shop_hooks")
    module.after_fork = lambda: 1 / 0  # type: ignore[attr-defined]
    with pytest.raises(HookFailed) as error:
        Hooks(module).run(Hook.AFTER_FORK)
    text = str(error.value)
    assert text.startswith("The hook shop_hooks.after_fork has failed:")
    assert text.endswith("ZeroDivisionError: division by zero")


def test_a_coroutine_function_is_refused() -> None:
    async def start() -> None: ...

    module = type(sys)("shop_hooks")
    module.worker_start = start  # type: ignore[attr-defined]
    with pytest.raises(HookFailed, match="is a coroutine function. Use an ordinary function"):
        Hooks(module).run(Hook.WORKER_START)


def test_a_crash_is_passed_to_its_hook() -> None:
    found: list[Crash] = []
    module = type(sys)("shop_hooks")
    module.worker_crash = found.append  # type: ignore[attr-defined]
    crash = Crash(7, "was killed by SIGSEGV", "GET / HTTP/1.1")
    Hooks(module).run(Hook.WORKER_CRASH, crash)
    assert found == [crash]


# --- when they are called


@linux
def test_with_preload_before_fork_runs_in_the_process_that_forks(folder: Path) -> None:
    with started(folder, "--preload", "--hooks", "shop_hooks") as server:
        worker = int(server.get()[1])
        (template,) = children(server.pid) - {worker}
        assert server.stop() == 0
        assert said(server) == [
            f"before_fork {template}",
            f"after_fork {worker}",
            f"worker_start {worker}",
            f"worker_stop {worker}",
        ]


def test_without_preload_the_hooks_of_a_worker_run_in_it(folder: Path) -> None:
    with started(folder, "--hooks", "shop_hooks.py") as server:
        worker = int(server.get()[1])
        assert server.stop() == 0
        assert said(server) == [f"{name} {worker}" for name in NAMES[1:4]]


def test_a_server_without_a_supervisor_does_not_fork(folder: Path) -> None:
    with started(folder, "--no-supervisor", "--hooks", "shop_hooks") as server:
        assert server.get()[0] == 200
        assert server.stop() == 0
        assert said(server) == [f"{name} {server.pid}" for name in NAMES[2:4]]


@pytest.mark.parametrize("count", ["1", "2"])
def test_another_worker_calls_the_hook_of_a_crash(folder: Path, count: str) -> None:
    with started(folder, "--hooks", "shop_hooks", "-w", count) as server:
        worker = int(server.get()[1])
        os.kill(worker, signal.SIGUSR1)  # has no hook
        os.kill(worker, signal.SIGKILL)
        line = server.line(f"worker_crash {worker} out)")
        assert int(line.split()[-1]) not in (worker, server.pid)
        assert server.stop() == 0


def test_attributes_of_the_application_are_hooks(folder: Path) -> None:
    (folder / "service.py").write_text(
        APP + "app.worker_start = lambda: os.write(1, b'worker_start of app\\n')\n"
    )
    with started(folder) as server:
        server.line("worker_start of app")
        assert server.stop() == 0


@pytest.mark.parametrize("how", [(), ("--no-supervisor",)])
def test_a_worker_whose_start_hook_fails_does_not_serve(folder: Path, how: tuple[str, ...]) -> None:
    (folder / "shop_hooks.py").write_text("def worker_start():\n raise ValueError('no database')\n")
    with started(folder, "--hooks", "shop_hooks", *how) as server:
        assert server.wait() == 1
        assert "The hook shop_hooks.worker_start has failed:" in server.text()
        assert "ValueError: no database" in server.text()


def test_an_error_at_the_stop_is_logged(folder: Path) -> None:
    (folder / "shop_hooks.py").write_text("def worker_stop():\n raise ValueError('too late')\n")
    with started(folder, "--hooks", "shop_hooks") as server:
        server.get()
        assert server.stop() == 0
        assert "The hook shop_hooks.worker_stop has failed:" in server.text()
        assert "ValueError: too late" in server.text()


@linux
def test_an_error_before_the_fork_is_logged_and_the_worker_serves(folder: Path) -> None:
    (folder / "shop_hooks.py").write_text("def before_fork():\n raise ValueError('not now')\n")
    with started(folder, "--preload", "--hooks", "shop_hooks") as server:
        server.line("The hook shop_hooks.before_fork has failed:")
        assert server.get()[0] == 200
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x = 1\n", "none of the functions before_fork, after_fork, worker_start"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        (None, "no_such_hooks"),
    ],
)
def test_a_module_that_is_wrong_ends_the_server(folder: Path, text: str | None, part: str) -> None:
    if text is not None:
        (folder / "no_such_hooks.py").write_text(text)
    with started(folder, "--hooks", "no_such_hooks") as server:
        assert server.wait() == 1
        assert part in server.text()


# --- from Python

PROGRAM = """
import sys
from carboy.server import serve
from service import app

class Own:
    def worker_start(self):
        sys.stdout.write("own worker_start\\n")  # in one piece: two workers write
        sys.stdout.flush()

if __name__ == "__main__":
    hooks = {"object": Own(), "name": "shop_hooks", "none": object(), "missing": "no_such_module"}
    serve(app, port=0, workers=2, hooks=hooks[sys.argv[1]])
"""


def program(folder: Path, *args: str) -> Running:
    (folder / "program.py").write_text(PROGRAM)
    return Running(*args, cwd=folder, command=("program.py",))


def test_serve_takes_the_name_of_a_module(folder: Path) -> None:
    with program(folder, "name") as server:
        worker = int(server.get()[1])
        assert server.stop() == 0
        assert {f"after_fork {worker}", f"worker_start {worker}", f"worker_stop {worker}"} <= set(
            said(server)
        )


def test_serve_takes_an_object_with_functions(folder: Path) -> None:
    with program(folder, "object") as server:
        server.line("own worker_start", count=2)
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("hooks", "text"),
    [
        ("none", "object, which was given as hooks, has none of the functions"),
        ("missing", "The module 'no_such_module' of hooks cannot be imported."),
    ],
)
def test_serve_says_why_hooks_cannot_be_used(folder: Path, hooks: str, text: str) -> None:
    with program(folder, hooks) as server:
        assert server.wait() == 1
        assert text in server.text()


def test_serve_says_why_there_is_no_preload() -> None:
    from carboy.server import serve

    with pytest.raises(ValueError, match="gets an application that is loaded already"):
        serve(lambda environ, start: [], preload=True)
