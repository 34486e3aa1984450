from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from running import PATIENCE, Running, await_gone, children

ALONE, ONE, TWO = ("--no-supervisor",), ("-w1",), ("-w", "2")  # the length is the number of workers

APP = """
import os, signal, threading, time
from carboy.thread_frames import thread_frames

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/pid":
        body = str(os.getpid()).encode()
    elif path == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif path == "/exit":
        os._exit(7)
    elif path == "/stop-here":                 # the kernel may give a signal to any thread
        main = threading.main_thread().ident
        while thread_frames()[main].f_code.co_name != "wait_for_the_end":
            time.sleep(0.01)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        body = b"asked"
    elif path == "/wait":                      # until the test writes to the fifo
        os.write(1, b"waiting\\n")
        with open("gate") as gate:
            body = gate.read().encode()
    elif path == "/rows":                      # the workers that serve, by the scoreboard
        from carboy.server import after_fork
        rows = next(iter(after_fork._running)).row.scoreboard.used()
        body = " ".join(str(int(row.cells[0])) for row in rows if row.cells[3]).encode()
    elif path == "/flags":
        body = repr((environ["wsgi.multithread"], environ["wsgi.multiprocess"])).encode()
    else:
        body = b"VERSION"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP.replace("VERSION", "one"))
    os.mkfifo(tmp_path / "gate")
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    return Running("run", "service", "-p", "0", *args, cwd=folder)


def pids_of(server: Running, count: int) -> set[int]:
    """The pids of `count` different workers that have answered."""
    found: set[int] = set()
    while len(found) < count:
        found.add(int(server.get("/pid")[1]))
    return found


def await_only_new(server: Running, old: set[int]) -> None:
    while children(server.pid) & old:
        time.sleep(0.02)


def open_gate(folder: Path, text: str) -> None:
    with open(folder / "gate", "w") as gate:
        gate.write(text)


def get_later(server: Running, path: str) -> tuple[threading.Thread, list[object]]:
    answers: list[object] = []

    def run() -> None:
        try:
            answers.append(server.get(path))
        except (OSError, http.client.HTTPException) as problem:
            answers.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, answers


def test_workers_are_processes_below_the_supervisor(folder: Path) -> None:
    with started(folder, "-w", "2") as server:
        server.address()
        workers = children(server.pid)
        assert len(workers) == 2
        assert int(server.get("/pid")[1]) in workers
        assert server.get("/flags") == (200, b"(True, True)")


def rows(server: Running) -> set[int]:
    return set(map(int, server.get("/rows")[1].split()))


def test_each_worker_sees_in_the_scoreboard_which_workers_serve(folder: Path) -> None:
    with started(folder, "-w", "2") as server:
        workers = pids_of(server, 2)
        assert rows(server) == workers
        victim = min(workers)
        os.kill(victim, signal.SIGKILL)
        server.line("another one takes")
        while len(found := rows(server)) < 2:
            pass
        assert victim not in found
        while children(server.pid) != found:  # one more writes the report of the crash, and ends
            pass


def test_auto_starts_one_worker_for_each_processor(folder: Path) -> None:
    with started(folder, "-w", "auto") as server:
        server.address()
        count = len(os.sched_getaffinity(0))
        assert len(children(server.pid)) == count


def test_a_single_worker_also_has_a_supervisor(folder: Path) -> None:
    with started(folder, "-t", "1") as server:
        assert {int(server.get("/pid")[1])} == children(server.pid)
        assert server.get("/flags") == (200, b"(False, False)")


def test_without_a_supervisor_the_worker_is_the_process_itself(folder: Path) -> None:
    with started(folder, *ALONE) as server:
        assert int(server.get("/pid")[1]) == server.pid
        assert not children(server.pid)


def test_several_workers_need_a_supervisor(folder: Path) -> None:
    with started(folder, *ALONE, *TWO) as server:
        assert server.wait() == 2
        assert "--no-supervisor requires --workers 1." in server.text()


@pytest.mark.parametrize("how", [ALONE, ONE, TWO])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_stop_lets_running_requests_finish(
    folder: Path, how: tuple[str, ...], number: int
) -> None:
    with started(folder, *how) as server:
        thread, answers = get_later(server, "/wait")
        server.line("waiting")
        host, port = server.address()
        server.send(number)
        refused_from(host, port)
        open_gate(folder, "done")
        thread.join(PATIENCE)
        assert answers == [(200, b"done")]
        assert server.wait() == 0


def refused_from(host: str, port: int) -> None:
    """Return when no process accepts connections, or the socket is closed.

    Several processes may hold the socket; a connection that no process accepts waits in its queue,
    which is all that is waited for here.
    """
    try:
        with socket.create_connection((host, port), PATIENCE) as probe:
            probe.settimeout(0.05)
            try:
                probe.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                probe.recv(1)
            except TimeoutError:
                return
    except ConnectionError:
        return


def test_a_signal_that_another_thread_receives_is_obeyed(folder: Path) -> None:
    with started(folder, *ALONE) as server:
        assert server.get("/stop-here") == (200, b"asked")
        assert server.wait() == 0


def test_a_worker_that_another_program_stops_is_replaced_while_it_finishes(folder: Path) -> None:
    with started(folder, *ONE) as server:
        thread, answers = get_later(server, "/wait")
        server.line("waiting")
        (worker,) = children(server.pid)
        os.kill(worker, signal.SIGTERM)
        assert f"Worker {worker} was told to stop" in server.line("another one takes")
        while int(server.get("/pid")[1]) == worker:
            pass
        open_gate(folder, "done")
        thread.join(PATIENCE)
        assert answers == [(200, b"done")]
        assert server.stop() == 0


def test_a_stop_closes_idle_connections(folder: Path) -> None:
    with started(folder, "-w", "2", "--idle-grace", "0") as server:
        connection = server.connect()
        connection.request("GET", "/")
        connection.getresponse().read()
        assert connection.sock is not None
        server.send(signal.SIGTERM)
        assert connection.sock.recv(1) == b""
        connection.close()
        assert server.wait() == 0


def test_requests_that_run_after_the_graceful_timeout_are_closed_and_logged(folder: Path) -> None:
    with started(folder, "-w", "2", "--graceful-timeout", "0.2") as server:
        thread, answers = get_later(server, "/wait")
        server.line("waiting")
        assert server.stop() == 0
        thread.join(PATIENCE)
        assert isinstance(answers[0], OSError | http.client.HTTPException)
        assert "GET /wait HTTP/1.1" in server.line("Stopped while a request was running")


@pytest.mark.parametrize("how", [ALONE, ONE, TWO])
def test_a_second_interrupt_ends_at_once(folder: Path, how: tuple[str, ...]) -> None:
    with started(folder, *how) as server:
        thread, _ = get_later(server, "/wait")
        server.line("waiting")
        code = None
        while code is None:  # an interrupt shortly after another one does not count
            server.send(signal.SIGINT)
            try:
                code = server.process.wait(0.15)
            except Exception:
                continue
        assert code == 128 + signal.SIGINT
        thread.join(PATIENCE)


def test_an_interrupt_that_comes_twice_at_the_same_time_counts_once(folder: Path) -> None:
    with started(folder, "-w", "2") as server:
        server.address()
        server.send(signal.SIGINT)
        server.send(signal.SIGINT)
        assert server.wait() == 0


def test_a_worker_that_is_killed_is_replaced_and_the_log_says_how_it_died(folder: Path) -> None:
    with started(folder, "-w", "2") as server:
        before = pids_of(server, 2)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        assert f"Worker {victim} was killed by SIGKILL" in server.line("another one takes")
        replaced = {victim}
        while victim in replaced or len(replaced) < 2:
            replaced = pids_of(server, 2)
        assert server.stop() == 0


def test_the_log_tells_the_exit_code_of_a_worker(folder: Path) -> None:
    with started(folder, "-w", "2") as server:
        get_later(server, "/exit")[0].join(PATIENCE)
        assert "exited with code 7" in server.line("another one takes")
        assert server.get("/")[0] == 200


@pytest.mark.parametrize("how", [ALONE, ONE, TWO])
def test_sighup_serves_fresh_code_and_loses_no_connection(
    folder: Path, how: tuple[str, ...]
) -> None:
    with started(folder, *how) as server:
        assert server.get("/") == (200, b"one")
        old = children(server.pid)
        (folder / "service.py").write_text(APP.replace("VERSION", "twice"))  # another size
        server.send(signal.SIGHUP)
        answers = set()
        while True:
            status, body = server.get("/")
            assert status == 200
            answers.add(body)
            if body == b"twice" and not children(server.pid) & old:
                break
        assert answers <= {b"one", b"twice"}
        assert server.get("/") == (200, b"twice")
        if how is not ALONE:
            server.line("All workers have been replaced.")
        assert server.stop() == 0


def test_a_second_sighup_starts_over_when_the_new_code_hangs_while_loading(folder: Path) -> None:
    with started(folder, *ALONE) as server:
        server.address()
        (folder / "service.py").write_text('print("loading", flush=True)\nopen("gate").read()\n')
        server.send(signal.SIGHUP)
        server.line("loading")
        (folder / "service.py").write_text(APP.replace("VERSION", "again"))
        server.send(signal.SIGHUP)
        server.line("Checking again whether the new code loads.")
        while server.get("/")[1] != b"again":
            pass
        assert children(server.pid) == set()
        assert server.stop() == 0


@pytest.mark.parametrize("how", [ONE, TWO])
def test_a_second_sighup_starts_over_when_the_new_worker_hangs_while_loading(
    folder: Path, how: tuple[str, ...]
) -> None:
    with started(folder, *how) as server:
        old = pids_of(server, len(how))
        (folder / "service.py").write_text('print("loading", flush=True)\nopen("gate").read()\n')
        server.send(signal.SIGHUP)
        server.line("loading")
        (folder / "service.py").write_text(APP.replace("VERSION", "again"))
        server.send(signal.SIGHUP)
        server.line("Starting over to replace the workers")
        server.line("All workers have been replaced.")
        await_only_new(server, old)
        assert server.get("/") == (200, b"again")
        assert len(children(server.pid)) == len(how)
        assert server.stop() == 0


@pytest.mark.parametrize("how", [ONE, TWO])
def test_a_worker_that_hangs_while_loading_is_given_up_and_the_old_workers_stay(
    folder: Path, how: tuple[str, ...]
) -> None:
    with started(folder, *how, "--start-timeout", "2") as server:
        old = pids_of(server, len(how))
        (folder / "service.py").write_text('open("gate").read()\n')
        server.send(signal.SIGHUP)
        server.line("did not become ready within 2 s")
        server.line('service.py", line 1 in <module>')
        server.line("not replaced")
        while children(server.pid) != old:  # one of them writes a report, and ends
            time.sleep(0.02)
        (folder / "service.py").write_text(APP.replace("VERSION", "fixed"))
        server.send(signal.SIGHUP)
        server.line("All workers have been replaced.")
        await_only_new(server, old)
        assert server.get("/") == (200, b"fixed")
        assert server.stop() == 0


@pytest.mark.parametrize("how", [ONE, TWO])
def test_an_application_that_always_hangs_while_loading_ends_the_server(
    folder: Path, how: tuple[str, ...]
) -> None:
    (folder / "service.py").write_text('open("gate").read()\n')
    with started(folder, *how, "--start-timeout", "0.5") as server:
        assert server.wait() == 1
        assert "did not become ready" in server.text()


def test_views_that_kill_their_workers_again_and_again_do_not_stop_the_service_for_a_second(
    folder: Path,
) -> None:
    with started(folder, *TWO) as server:
        pids_of(server, 2)
        for count in range(1, 6):
            get_later(server, "/die")[0].join(PATIENCE)
            began = time.monotonic()
            assert server.get("/")[0] == 200
            assert time.monotonic() - began < 2.0
            server.line("another one takes its place", count)
        assert server.stop() == 0


def test_the_only_worker_is_replaced_at_once_each_time_it_dies(folder: Path) -> None:
    with started(folder, *ONE) as server:
        for count in range(1, 5):
            get_later(server, "/die")[0].join(PATIENCE)
            server.line("another one takes its place", count)
            began = time.monotonic()
            assert server.get("/")[0] == 200
            assert time.monotonic() - began < 2.0
        assert server.stop() == 0


def test_the_log_says_when_the_next_worker_is_started_after_one_that_failed(
    folder: Path,
) -> None:
    with started(folder, *TWO) as server:
        victim = min(pids_of(server, 2))
        (folder / "service.py").write_text("import os\nos._exit(3)\n")
        os.kill(victim, signal.SIGKILL)
        server.line("exited with code 3 before it was ready")
        server.line("Another worker will be started in 0.5 s.")
        server.line("Another worker will be started in 1 s.")
        (folder / "service.py").write_text(APP.replace("VERSION", "fixed"))
        pids_of(server, 2)
        assert server.stop() == 0


@pytest.mark.parametrize("how", [ONE, TWO])
def test_sighup_keeps_the_old_workers_when_the_new_code_does_not_start(
    folder: Path, how: tuple[str, ...]
) -> None:
    with started(folder, *how) as server:
        old = pids_of(server, len(how))
        (folder / "service.py").write_text("import nothing_of_that_name\n")
        server.send(signal.SIGHUP)
        server.line("not replaced")
        assert "nothing_of_that_name" in server.text()
        assert pids_of(server, len(how)) == old
        assert server.stop() == 0


BROKEN = {
    "import nothing_of_that_name\n": "nothing_of_that_name",
    "def app(:\n": "SyntaxError",
    "nothing = 1\n": "no application",
    "import os\nos._exit(9)\n": "exited with code 9",
}


def test_sighup_keeps_a_process_without_a_supervisor_when_the_new_code_does_not_load(
    folder: Path,
) -> None:
    with started(folder, *ALONE) as server:
        assert server.get("/") == (200, b"one")
        for count, (code, reason) in enumerate(BROKEN.items(), 1):
            (folder / "service.py").write_text(code)
            server.send(signal.SIGHUP)
            server.line("The old code continues to serve.", count)
            assert reason in server.text()
            assert server.get("/") == (200, b"one")
        (folder / "service.py").write_text(APP.replace("VERSION", "fixed"))
        server.send(signal.SIGHUP)
        while server.get("/")[1] != b"fixed":
            pass
        assert int(server.get("/pid")[1]) == server.pid
        assert children(server.pid) == set()
        assert server.stop() == 0


@pytest.mark.parametrize("before", ["", "import os; os.closerange(3, 100); "])
def test_a_process_without_a_supervisor_gives_up_new_code_that_hangs_while_loading(
    folder: Path, before: str
) -> None:
    """Also if the code has closed all descriptors, as a daemon does."""
    seconds = "2" if before else "6"  # for a busy machine: the new code has to hang by then
    with started(folder, *ALONE, "--start-timeout", seconds) as server:
        server.address()
        (folder / "service.py").write_text(f'{before}open("gate").read()\n')
        server.send(signal.SIGHUP)
        server.line(f"has not been loaded within {seconds} s")
        if not before:
            server.line('service.py", line 1 in <module>')
        server.line("The old code continues to serve.")
        assert server.get("/") == (200, b"one")
        assert children(server.pid) == set()
        assert server.stop() == 0


FAILS_ONCE = """
from pathlib import Path
loads = Path("loads")
loads.write_text(loads.read_text() + "x" if loads.exists() else "x")
if loads.read_text() == "xx":                  # the check succeeds, the restart does not
    raise RuntimeError("not this time")
"""


def test_a_process_without_a_supervisor_loads_code_again_that_failed_after_its_check(
    folder: Path,
) -> None:
    with started(folder, *ALONE) as server:
        server.address()
        (folder / "service.py").write_text(FAILS_ONCE + APP.replace("VERSION", "fixed"))
        server.send(signal.SIGHUP)
        server.line("not this time")
        server.line("The application will be loaded again")
        while server.get("/")[1] != b"fixed":
            pass
        assert server.stop() == 0


def test_a_stop_does_not_wait_for_new_code_that_hangs_while_loading(folder: Path) -> None:
    with started(folder, *ALONE) as server:
        server.address()
        (folder / "service.py").write_text('print("loading", flush=True)\nopen("gate").read()\n')
        server.send(signal.SIGHUP)
        server.line("loading")
        (hanging,) = children(server.pid)
        assert server.stop() == 0
        await_gone(hanging)


SCRIPT = """
import carboy, pathlib
from carboy.server import serve

app = carboy.Flask(__name__)
app.get("/")(lambda: "VERSION")
serve(app, port=0)
"""


def test_a_script_that_serves_goes_on_when_its_new_code_does_not_load(folder: Path) -> None:
    script = folder / "script.py"
    script.write_text(SCRIPT.replace("VERSION", "one"))
    with Running(cwd=folder, command=("script.py",)) as server:
        assert server.get("/") == (200, b"one")
        script.write_text("import nothing_of_that_name\n")
        server.send(signal.SIGHUP)
        server.line("The old code continues to serve.")
        server.line("ModuleNotFoundError")
        assert server.get("/") == (200, b"one")
        script.write_text(SCRIPT.replace("VERSION", "fixed"))
        server.send(signal.SIGHUP)
        while server.get("/")[1] != b"fixed":
            pass
        assert server.stop() == 0


ENDS = """
import atexit

atexit.register(print, "at exit", flush=True)
try:
    serve(app, port=0, access_log=False)
finally:
    print("after serve", flush=True)
"""


def test_checking_the_code_of_a_script_does_not_run_what_ends_it(folder: Path) -> None:
    script = folder / "script.py"
    text = SCRIPT.replace("serve(app, port=0)\n", "") + ENDS
    script.write_text(text.replace("VERSION", "one"))
    with Running(cwd=folder, command=("script.py",)) as server:
        assert server.get("/") == (200, b"one")
        script.write_text(text.replace("VERSION", "two"))
        server.send(signal.SIGHUP)
        while server.get("/")[1] != b"two":
            pass
        assert server.out == []
        assert server.stop() == 0
        assert server.out == ["after serve\n", "at exit\n"]


def test_ttin_and_ttou_change_the_number_of_workers(folder: Path) -> None:
    with started(folder, "-w", "2") as server:
        server.address()
        server.send(signal.SIGTTIN)
        server.line("workers is now 3")
        pids_of(server, 3)
        server.send(signal.SIGTTOU)
        server.line("workers is now 2")
        while len(children(server.pid)) != 2:
            server.get("/")
        assert server.stop() == 0


def test_no_worker_outlives_a_supervisor_that_is_killed(folder: Path) -> None:
    with started(folder, "-w", "2") as server:
        workers = pids_of(server, 2)
        os.kill(server.pid, signal.SIGKILL)
        for pid in workers:
            await_gone(pid)


def test_a_worker_that_is_loading_does_not_outlive_its_supervisor(folder: Path) -> None:
    (folder / "slow.py").write_text(
        "import os\nos.write(1, b'loading %d\\n' % os.getpid())\nopen('gate').read()\n"
    )
    with Running("run", "slow", "-p", "0", "-w", "2", cwd=folder) as server:
        pids = [int(server.line("loading", n).split()[1]) for n in (1, 2)]
        os.kill(server.pid, signal.SIGKILL)
        for pid in pids:
            await_gone(pid)


def test_an_application_that_cannot_be_loaded_is_reported_once_and_ends_the_server(
    folder: Path,
) -> None:
    (folder / "broken.py").write_text("def f():\n    return 1 / 0\nf()\n")
    with Running("run", "broken", "-p", "0", "-w", "3", cwd=folder) as server:
        assert server.wait() == 1
        assert server.text().count("ZeroDivisionError") == 1
        assert "broken.py" in server.text()


def test_workers_that_all_die_while_loading_are_given_up(folder: Path) -> None:
    (folder / "fatal.py").write_text("import os\nos.abort()\n")
    with Running("run", "fatal", "-p", "0", "-w", "2", cwd=folder) as server:
        assert server.wait() == 1
        assert "SIGABRT" in server.text()


NO_PROCESSES = """
import errno, os, sys
fork, forks = os.fork, 0

def scarce():
    global forks
    forks += 1
    if forks in REFUSED:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()

os.fork = scarce
from carboy.cli.main import main
main()
"""


def with_scarce_processes(folder: Path, refused: str) -> Running:
    script = NO_PROCESSES.replace("REFUSED", refused)
    command = ("-c", script)
    return Running(
        "run", "service", "-p", "0", "-w", "2", "--crash-reports", "0", cwd=folder, command=command
    )


def test_a_supervisor_that_cannot_start_a_process_tries_again(folder: Path) -> None:
    with with_scarce_processes(folder, "(3, 4)") as server:
        before = pids_of(server, 2)
        os.kill(min(before), signal.SIGKILL)
        server.line("No worker can be started: Resource temporarily unavailable.")
        server.line("No worker can be started", 2)
        assert pids_of(server, 2) != before
        assert server.stop() == 0


def test_a_supervisor_that_can_never_start_a_process_ends(folder: Path) -> None:
    with with_scarce_processes(folder, "range(99)") as server:
        assert server.wait() == 1
        assert "No worker can be started" in server.text()


def test_exit_functions_of_the_application_run_in_each_worker(folder: Path) -> None:
    (folder / "leaving.py").write_text(
        "import atexit, os\nfrom service import app\n"
        # In one write: the two workers share the pipe.
        "atexit.register(os.write, 1, b'bye\\n')\n"
    )
    with Running("run", "leaving", "-p", "0", "-w", "2", cwd=folder) as server:
        server.address()
        assert server.stop() == 0
        assert server.text().count("bye\n") == 2


ONE_BY_ONE = """
try:
    os.mkdir("loaded")
    open("gate").read()
except FileExistsError:
    open("second").read()
"""


def told(channel: socket.socket) -> bytes:
    """The next message to the service manager that is not a line for `systemctl status`."""
    while (message := channel.recv(200)).startswith(b"STATUS="):
        pass
    return message


def test_systemd_is_told_when_all_workers_are_ready(folder: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(path)
        channel.settimeout(PATIENCE)
        env = {"NOTIFY_SOCKET": path}
        with Running("run", "service", "-p", "0", "-w", "2", cwd=folder, env=env) as server:
            assert told(channel) == b"READY=1"
            (folder / "service.py").write_text("import nothing_of_that_name\n")
            server.send(signal.SIGHUP)
            assert told(channel).startswith(b"RELOADING=1")
            assert told(channel) == b"READY=1"  # the old workers continue to serve
            os.mkfifo(folder / "second")
            (folder / "service.py").write_text(APP + ONE_BY_ONE)
            server.send(signal.SIGHUP)
            assert told(channel).startswith(b"RELOADING=1")
            open_gate(folder, "")
            with (folder / "second").open("w"):  # one of the workers is new
                channel.settimeout(0.0)
                with pytest.raises(BlockingIOError):
                    told(channel)
                channel.settimeout(PATIENCE)
            assert told(channel) == b"READY=1"
            server.send(signal.SIGTERM)
            assert told(channel) == b"STOPPING=1"
            assert server.wait() == 0
