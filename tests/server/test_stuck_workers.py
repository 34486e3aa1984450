"""Stuck workers in real processes: they are noticed, logged, ended and replaced."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from running import PATIENCE, Running, alive, children, suspend

TIMEOUT = 1.0  # seconds, of the worker

APP = """
import os, re, threading, time

never = threading.Event()

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/regex":                       # holds the interpreter lock, in C
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif path == "/slow-regex":                # on a thread of the crew, after a while
        never.wait(0.2)
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif path == "/never":                     # waits, and lets others run
        os.write(1, b"waiting\\n")
        never.wait()
    elif path == "/second":
        time.sleep(1.5)
    elif path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ticks()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]

def ticks():
    for _ in range(20):
        time.sleep(0.1)
        yield b"tick"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    limit = ("--worker-timeout", str(TIMEOUT))
    return Running("run", "service", "-p", "0", "-w", "2", *limit, *args, cwd=folder)


def send(server: Running, path: str) -> socket.socket:
    """Send a request, and do not wait for the answer."""
    client = socket.create_connection(server.address(), PATIENCE)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def recovered(server: Running, before: set[int]) -> None:
    """Wait until all workers are new and answer."""
    while (now := children(server.pid)) & before or len(now) < len(before):
        time.sleep(0.02)
    assert int(server.get("/")[1]) not in before


def await_busy(workers: set[int]) -> None:
    """Wait until a worker computes."""
    before = {pid: processor_time(pid) for pid in workers}
    while all(processor_time(pid) < before[pid] + 10 for pid in workers):
        time.sleep(0.02)


def test_workers_whose_interpreter_lock_is_held_are_replaced(folder: Path) -> None:
    with started(folder) as server:
        server.address()
        before = children(server.pid)
        clients = [send(server, "/regex")]
        await_busy(before)
        clients.append(send(server, "/regex"))  # for the other worker
        server.line("holds the interpreter lock")
        server.line("holds the interpreter lock", 2)
        recovered(server, before)
        for client in clients:
            assert client.recv(1) == b""
            client.close()
        text = server.text()
        assert "GET /regex HTTP/1.1" in text
        assert 'service.py", line 9 in app' in text
        assert server.stop() == 0


def test_a_worker_that_holds_the_lock_does_not_outlive_its_supervisor(folder: Path) -> None:
    # On one processor: the timer counts processor time, multiplied by the number of processors.
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usable)})
    try:
        server = started(folder, "-w", "1", "--supervisor")
    finally:
        os.sched_setaffinity(0, usable)
    with server:
        server.address()
        (worker,) = children(server.pid)
        client = send(server, "/regex")
        await_busy({worker})  # the regular expression runs, and the worker does nothing else
        server.process.kill()
        while worker_is_there(worker):
            time.sleep(0.05)
        assert client.recv(1) == b""
        client.close()


def processor_time(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def worker_is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_request_of_a_crew_thread_that_holds_the_lock_is_named(folder: Path) -> None:
    with started(folder, "-w", "1", "--supervisor") as server:
        server.address()
        with send(server, "/slow-regex"), send(server, "/"):
            server.line("holds the interpreter lock")
            assert "(for " in server.line("GET /slow-regex")
            server.line("line 12 in app")


def test_a_request_that_holds_the_only_thread_is_ended(folder: Path) -> None:
    with started(folder, "--threads", "1") as server:
        server.address()
        with send(server, "/never"):
            server.line("waiting")
            assert "only thread (--threads 1)" in server.line("has been stuck")
            server.line("GET /never HTTP/1.1")
            server.line("line 15, in app")
        assert server.get("/")[0] == 200


def test_a_leader_that_is_stuck_outside_of_handlers_is_noticed(folder: Path) -> None:
    (folder / "broken.py").write_text(
        "import os, threading\nfrom service import app\n"
        "from carboy.server.deadlines import Deadlines\n"
        "exceeded = Deadlines.exceeded\n"
        "def stick(*args):\n"
        "    if os.path.exists('stick'):\n"
        "        threading.Event().wait()\n"
        "    return exceeded(*args)\n"
        "Deadlines.exceeded = stick\n"
    )
    limit = ("--worker-timeout", str(TIMEOUT))
    with Running("run", "broken:app", "-p", "0", *limit, cwd=folder) as server:
        server.address()
        (folder / "stick").touch()
        server.line("the thread that reads requests is stuck")
        server.line("in stick")
        (folder / "stick").unlink()
        assert server.get("/")[0] == 200


def test_slow_requests_one_after_the_other_do_not_make_a_worker_stuck(folder: Path) -> None:
    with started(folder, "-w", "1", "--threads", "1", "--worker-timeout", "2.5") as server:
        clients = [send(server, "/second") for _ in range(3)]
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()
        assert "stuck" not in server.text()


def test_an_answer_that_goes_on_does_not_make_a_worker_stuck(folder: Path) -> None:
    with started(folder, "-w", "1", "--threads", "1") as server:
        assert server.get("/stream") == (200, b"tick" * 20)
        assert "stuck" not in server.text()


def test_a_slow_request_with_a_crew_is_left_alone(folder: Path) -> None:
    with started(folder) as server:
        assert server.get("/second")[0] == 200
        assert "stuck" not in server.text()


def test_a_worker_whose_threads_are_all_stuck_is_replaced_when_requests_wait(
    folder: Path,
) -> None:
    with started(folder, "-w", "1", "--threads", "2", "--graceful-timeout", "2") as server:
        server.address()
        before = children(server.pid)
        clients = []
        for count in (1, 2):
            clients.append(send(server, "/never"))
            server.line("waiting", count)
        clients.append(send(server, "/never"))
        assert "all its threads" in server.line("has been stuck")
        recovered(server, before)
        for client in clients:
            client.close()
        assert "line 15, in app" in server.text()
        assert "Thread carboy-heartbeat" in server.text()  # written by the worker itself


def test_a_worker_that_was_stopped_by_a_signal_is_replaced(folder: Path) -> None:
    with started(folder) as server:
        server.address()
        victim = min(children(server.pid))
        suspend(victim)
        assert f"Worker {victim}" in server.line("stopped by a signal")
        while alive(victim):
            time.sleep(0.02)
        assert server.stop() == 0


def test_sigusr2_logs_the_stacks_of_a_worker_that_cannot_run_python(folder: Path) -> None:
    with started(folder, "-w", "1", "--supervisor", "--worker-timeout", "60") as server:
        server.address()
        client = send(server, "/regex")
        while "Report on worker" not in server.text():  # its last sign of life has to be old enough
            server.send(signal.SIGUSR2)
            time.sleep(0.1)
        server.line('service.py", line 9 in app')
        assert "GET /regex HTTP/1.1" in server.text()
        for pid in children(server.pid):
            os.kill(pid, signal.SIGKILL)
        client.close()


def test_no_worker_is_ended_when_the_timeout_is_off(folder: Path) -> None:
    with started(folder, "--worker-timeout", "0", "--threads", "1") as server:
        server.address()
        before = children(server.pid)
        with send(server, "/second") as client:
            assert client.recv(12) == b"HTTP/1.1 200"
        assert children(server.pid) == before


def test_the_requests_of_a_worker_that_died_are_logged(folder: Path) -> None:
    with started(folder) as server:
        with send(server, "/never"):
            server.line("waiting")
            for pid in children(server.pid):
                os.kill(pid, signal.SIGSEGV)
            server.line("GET /never HTTP/1.1")
            server.line("was killed by SIGSEGV", 2)
            server.line("Fatal Python error: Segmentation fault")


def test_systemd_hears_of_a_process_without_a_supervisor_until_it_is_stuck(
    folder: Path, tmp_path: Path
) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(path)
        channel.settimeout(PATIENCE)
        env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
        arguments = ("run", "service", "-p", "0", "--no-supervisor", "-t", "1")
        with Running(*arguments, cwd=folder, env=env) as server:
            assert channel.recv(100) == b"READY=1"
            assert channel.recv(100) == b"WATCHDOG=1"
            with send(server, "/never"):
                server.line("waiting")
                channel.settimeout(1.0)
                with pytest.raises(TimeoutError):
                    while True:
                        channel.recv(100)


def test_systemd_hears_of_healthy_workers_only(folder: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(path)
        channel.settimeout(PATIENCE)
        env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
        arguments = ("run", "service", "-p", "0", "-w", "1", "--worker-timeout", "1")
        with Running(*arguments, cwd=folder, env=env) as server:
            assert channel.recv(100) == b"READY=1"
            while channel.recv(100) != b"WATCHDOG=1":
                pass  # the status, if two seconds have passed
            for pid in children(server.pid):
                os.kill(pid, signal.SIGKILL)
            while channel.recv(100) != b"WATCHDOG=1":
                pass
            assert server.stop() == 0
