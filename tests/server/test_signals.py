"""Signals in any order and at any time, with real processes."""

from __future__ import annotations

import _thread
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from carboy.server.processes import stacks
from carboy.server.processes.forced_exit import ForcedExit
from carboy.server.processes.load_check import LoadCheck
from running import PATIENCE, Running, alive, await_gone, children

APP = """
import os, threading

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = str(os.getpid())
    if path == "/wait":                        # until the test writes to the fifo
        os.write(1, b"waiting\\n")
        with open("gate") as gate:
            body = gate.read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""
SLOW = """
import os, time
os.write(1, b"loading\\n")
with open("gate") as gate:                     # until the test opens it for writing
    gate.read()
"""
MODES = {
    "alone": ("--no-supervisor",),
    "supervised": (),
    "two": ("-w", "2"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    os.mkfifo(tmp_path / "gate")
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    return Running("run", "service", "-p", "0", *args, cwd=folder)


def open_gate(folder: Path) -> None:
    with open(folder / "gate", "w") as gate:
        gate.write("late")


@pytest.mark.parametrize("mode", MODES)
def test_sigusr1_and_sigusr2_do_not_kill(folder: Path, mode: str) -> None:
    with started(folder, *MODES[mode]) as server:
        waiting = threading.Thread(target=server.get, args=("/wait",))
        waiting.start()
        server.line("waiting")
        server.send(signal.SIGUSR1)
        server.send(signal.SIGUSR2)
        server.line("requested by SIGUSR2")
        server.line("GET /wait HTTP/1.1")
        server.until(lambda: "in app" in "".join(server.err), "stack of the application")
        for pid in children(server.pid):
            os.kill(pid, signal.SIGUSR1)
            os.kill(pid, signal.SIGUSR2)
            server.line("requested by SIGUSR2: ")
            break
        open_gate(folder)
        waiting.join(PATIENCE)
        assert server.get()[0] == 200
        assert server.stop() == 0


def test_an_application_keeps_its_own_handler_of_sigusr2(folder: Path) -> None:
    more = "import signal\nsignal.signal(signal.SIGUSR2, lambda *a: os.write(1, b'mine\\n'))\n"
    (folder / "service.py").write_text(APP + more)
    with started(folder, "--no-supervisor") as server:
        server.address()
        server.send(signal.SIGUSR2)
        server.line("mine")
        assert server.stop() == 0


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 0), ("SIGINT", 0), ("SIGQUIT", 131)])
@pytest.mark.parametrize("mode", MODES)
def test_a_stop_while_the_application_is_loaded_ends_at_once(
    folder: Path, mode: str, number: str, code: int
) -> None:
    (folder / "service.py").write_text(SLOW)
    with started(folder, *MODES[mode]) as server:
        server.line("loading")
        assert server.stop(signal.Signals[number]) == code
        assert "Traceback" not in server.text()


def test_a_reload_while_the_application_is_loaded_loads_it_again(folder: Path) -> None:
    (folder / "service.py").write_text(SLOW + APP)
    with started(folder, "--no-supervisor") as server:
        server.line("loading")
        server.send(signal.SIGHUP)
        open_gate(folder)
        server.line("loading", 2)  # the check
        open_gate(folder)
        server.line("loading", 3)
        open_gate(folder)
        server.line("is serving service", 2)
        assert server.get()[0] == 200
        assert server.stop() == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_wins_over_a_reload_in_either_order(folder: Path, mode: str) -> None:
    for order in ((signal.SIGHUP, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP)):
        with started(folder, *MODES[mode]) as server:
            thread = threading.Thread(target=server.get, args=("/wait",))
            thread.start()
            server.line("waiting")
            for number in order:
                server.send(number)
            open_gate(folder)
            assert server.wait() == 0, server.text()
            thread.join(PATIENCE)


def test_a_stop_in_the_middle_of_a_replacement_ends_everything(folder: Path) -> None:
    with started(folder, "-w", "2") as server:
        old = children(server.pid) if server.address() else set()
        (folder / "service.py").write_text(SLOW)
        server.send(signal.SIGHUP)
        server.line("loading")
        every = old | children(server.pid)
        assert server.stop() == 0
        for pid in every:
            await_gone(pid)


# --- any signals at any time

STARTED = 20  # servers in the next test


def hears(pid: int) -> bool:
    """Whether the process holds SIGHUP back or has a handler for it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    masks = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    bit = 1 << (signal.SIGHUP - 1)
    return bool((int(masks["SigBlk"], 16) | int(masks["SigCgt"], 16)) & bit)


def bombard(folder: Path, seed: int) -> str:
    """Start a server, send signals at random times; "" if it ended as asked."""
    chance = random.Random(seed)
    mode = chance.choice(list(MODES))
    log: list[str] = [f"seed {seed}, {mode}:"]
    with started(folder, *MODES[mode]) as server:
        while not hears(server.pid):
            time.sleep(0.001)
        every = ["SIGHUP", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTERM", "SIGINT"]
        usual = every if mode != "alone" else [name for name in every if name != "SIGTTIN"]
        names = [*chance.choices(usual[:-2], k=chance.randrange(3)), chance.choice(usual[-2:])]
        names += chance.choices(usual, k=chance.randrange(3))
        for name in names:
            pause = chance.choice((0.0, 0.0, 0.01, 0.1, 0.3))
            time.sleep(pause)
            log.append(f"{name} after {pause}")
            if name == "SIGTTIN" and not hears_number(server.pid, signal.SIGTTIN):
                continue  # its default action stops the process
            server.send(signal.Signals[name])
        code = server.wait()
        allowed = {0, 128 + signal.SIGINT} if names.count("SIGINT") > 1 else {0}
        if code not in allowed:
            log.append(f"exit code {code}")
        elif "Traceback" in server.text():
            log.append("a traceback")
        elif any(alive(pid) for pid in in_session(server.pid)):
            log.append("a process is left")
        else:
            return ""
        return " ".join(log) + "\n" + server.text()


def hears_number(pid: int, number: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    line = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(line.split()[1], 16) & 1 << (number - 1))


def in_session(session: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            found.append(int(stat.parent.name))
    return found


def test_signals_in_any_order_and_at_any_time_end_as_asked(folder: Path) -> None:
    first = int(os.environ.get("FIRST_SEED", "0"))
    seeds = iter(range(first, first + int(os.environ.get("SEEDS", STARTED))))
    failures: list[str] = []

    def run() -> None:
        for seed in seeds:
            failures.append(bombard(folder, seed))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [each for each in failures if each], "\n".join(failures)


# --- what handlers may do

FORCED_EXIT = ForcedExit(PATIENCE, timer=False)
HANDLERS: dict[str, Callable[[], object]] = {
    "stacks": lambda: stacks.log_own(None),
    "stop": FORCED_EXIT.begin,
    "reload": lambda: LoadCheck(0.0, lambda: None, ["true"]).ask(),
}


@pytest.mark.parametrize("name", HANDLERS)
def test_a_handler_starts_a_thread_although_the_interrupted_code_is_starting_one(name: str) -> None:
    done = threading.Event()
    with threading._active_limbo_lock:  # type: ignore[attr-defined]
        _thread.start_new_thread(lambda: (HANDLERS[name](), done.set()), ())
        assert done.wait(PATIENCE / 4)
    FORCED_EXIT.cancel()
