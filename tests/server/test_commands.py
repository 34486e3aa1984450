"""`carboy run --with COMMAND`: processes beside the workers."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from carboy.server.processes.command_runner import FIRST_DELAY, LONGEST_DELAY
from carboy.server.processes.command_runner import Running as Command
from carboy.server.processes.commands import parse_command
from live_engine import eventually
from running import Running

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""
# A signal that comes just before a single long sleep would be handled when that ends.
WORKER = """
import os, signal, sys, time
def stop(*_):
    print("asked to stop", flush=True)
    sys.stdout.write("last words")
    sys.stdout.flush()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("begun", os.getpid(), flush=True)
print("to stderr", file=sys.stderr, flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "worker.py").write_text(WORKER)
    return tmp_path


def command(script: str) -> str:
    return shlex.join([sys.executable, script])


NAME = Path(sys.executable).name


def pid_of(line: str) -> int:
    return int(line.rpartition(" ")[2])


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_command_runs_beside_the_workers_and_stops_with_them(
    folder: Path, sent: signal.Signals
) -> None:
    with Running("run", "--port", "0", "--with", command("worker.py"), cwd=folder) as server:
        pid = pid_of(server.line(f"{NAME} | begun"))
        server.line(f"{NAME} | to stderr")
        assert server.get()[1] == b"hello"
        assert server.stop(sent) == 0
        assert is_gone(pid)
        assert f"{NAME} | asked to stop\n{NAME} | last words\n" in "".join(server.err)


def test_a_command_that_ends_is_started_again(folder: Path) -> None:
    with Running("run", "--port", "0", "--with", command("worker.py"), cwd=folder) as server:
        server.address()
        os.kill(pid_of(server.line("| begun")), signal.SIGKILL)
        server.line("it is started again in 1 s")
        server.line("| begun", count=2)
        assert server.stop() == 0


def test_a_reload_starts_commands_again(folder: Path) -> None:
    with Running("run", "--port", "0", "--with", command("worker.py"), cwd=folder) as server:
        server.address()
        server.line("| begun")
        server.send(signal.SIGHUP)
        server.line("| asked to stop")
        server.line("| begun", count=2)
        server.line("All workers have been replaced")
        assert server.stop() == 0


def test_a_command_that_does_not_stop_is_killed_with_its_processes(folder: Path) -> None:
    (folder / "stubborn.py").write_text(
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pid = os.fork()\nif pid: print('begun', pid, flush=True)\n"
        "while True:\n    time.sleep(60)\n"
    )
    args = ("--port", "0", "--graceful-timeout", "0.2", "--with", command("stubborn.py"))
    with Running("run", *args, cwd=folder) as server:
        server.address()
        child = pid_of(server.line("| begun"))
        assert server.stop() == 0
        server.line("does not stop and is killed")
        eventually(lambda: is_gone(child))


def test_a_second_ctrl_c_kills_commands_at_once(folder: Path) -> None:
    (folder / "stubborn.py").write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('begun', flush=True)\nwhile True:\n    time.sleep(60)\n"
    )
    args = ("--port", "0", "--graceful-timeout", "1000", "--with", command("stubborn.py"))
    with Running("run", *args, cwd=folder) as server:
        server.address()
        server.line("| begun")
        server.send(signal.SIGQUIT)
        assert server.wait() == 128 + signal.SIGQUIT


def test_commands_end_with_a_supervisor_that_is_killed(folder: Path) -> None:
    with Running("run", "--port", "0", "--with", command("worker.py"), cwd=folder) as server:
        server.address()
        pid = pid_of(server.line("| begun"))
        server.send(signal.SIGKILL)
        server.wait()
        eventually(lambda: is_gone(pid))


def test_several_commands_have_a_variable_with_lines(folder: Path) -> None:
    (folder / "other.py").write_text(WORKER.replace("begun", "other begun"))
    env = {"CARBOY_WITH": f"{command('worker.py')}\n{command('other.py')}\n"}
    with Running("run", "--port", "0", cwd=folder, env=env) as server:
        server.line("| begun")
        server.line("| other begun")
        server.address()
        assert server.stop() == 0


def test_the_address_is_free_after_the_end(folder: Path) -> None:
    with Running("run", "--port", "0", "--with", command("worker.py"), cwd=folder) as server:
        port = server.address()[1]
        server.line("| begun")
        assert server.stop() == 0
    with Running("run", "--port", str(port), cwd=folder) as server:
        assert server.get()[1] == b"hello"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("no-such-program x", "there is no program 'no-such-program'"),
        ("'open", "Close its quotes"),
        (" ", "--with needs a command"),
    ],
)
def test_a_command_that_cannot_be_started_is_refused(folder: Path, text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_command(text)
    with Running("run", "--port", "0", "--with", text, cwd=folder) as server:
        assert server.wait() == 2
        assert part in " ".join(server.text().split())


def test_commands_require_a_supervisor(folder: Path) -> None:
    args = ("--port", "0", "--no-supervisor", "--with", command("worker.py"))
    with Running("run", *args, cwd=folder) as server:
        assert server.wait() == 2
        assert "--with requires the supervisor" in server.text()


def test_the_time_until_the_next_start_grows_and_has_an_end() -> None:
    running = Command("x", ["x"], 0.0)
    delays = []
    for _ in range(9):
        running.due = None
        running.ended(1, 10.0, stopping=False)
        assert running.due is not None
        delays.append(running.due - 10.0)
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == LONGEST_DELAY
    running.due = None
    running.ended(1, 1000.0, stopping=False)  # it has run for long
    assert running.due == 1000.0 + FIRST_DELAY
