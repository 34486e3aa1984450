"""How connections spread over the workers, with real processes."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from live_engine import eventually
from running import Running, suspend

APP = """
import ctypes
import os
import time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":                        # until the test opens the gate of this number
        number = environ["QUERY_STRING"]
        os.write(1, b"%s waits in %d\\n" % (number.encode(), os.getpid()))
        with open("gate-" + number) as gate:
            gate.read()
    elif path == "/stuck":                     # holds the interpreter's lock, as code in C may
        time.sleep(0.1)                        # until another thread leads, and waits in the kernel
        ctypes.PyDLL(None).system(b"echo stuck; exec sleep 60")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
"""


Client = http.client.HTTPConnection
GATES = 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    for number in range(GATES):
        os.mkfifo(tmp_path / f"gate-{number}")
    return tmp_path


def open_gate(folder: Path, number: int | str) -> None:
    with open(folder / f"gate-{number}", "w"):
        pass


@contextmanager
def started(folder: Path, workers: int, *args: str) -> Iterator[Running]:
    """A server whose workers all serve and have no connection."""
    options = ("-p", "0", "-w", str(workers), "--no-access-log", *args)
    with Running("run", "service", *options, cwd=folder) as server:
        with ExitStack() as clients:
            kept: list[Client] = []
            seen: set[bytes] = set()
            while len(seen) < workers:
                kept.append(clients.enter_context(closing(server.connect())))
                seen.add(ask(kept[-1]))
            for client in kept:
                assert client.sock is not None
                client.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                while client.sock.recv(65536):
                    pass  # the end comes when the worker has let go of the connection
        yield server


def ask(connection: Client, path: str = "/") -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


def keep(server: Running, clients: ExitStack, count: int) -> list[tuple[Client, bytes]]:
    """Connections that stay open, each with the worker that has it."""
    found = []
    for _ in range(count):
        client = clients.enter_context(closing(server.connect()))
        found.append((client, ask(client)))
    return found


def spread(kept: list[tuple[Client, bytes]]) -> list[int]:
    """How many connections each worker has, in ascending order."""
    return sorted(Counter(pid for _, pid in kept).values())


def spread_evenly(
    server: Running, clients: ExitStack, kept: list[tuple[Client, bytes]], workers: int
) -> None:
    """Connect until every worker has its share.

    At once, unless the machine is so busy that a worker gets no processor for a while: then others
    take its connections, and it takes the next ones.
    """
    kept += keep(server, clients, 8 * workers - len(kept))
    while len(spread(kept)) < workers or spread(kept)[-1] > 1.25 * spread(kept)[0]:
        assert len(kept) < 100 * workers, spread(kept)
        kept += keep(server, clients, 1)


@pytest.mark.parametrize("options", [(), ("--poller", "selectors"), ("-t", "1")], ids=" ".join)
def test_kept_connections_spread_evenly_over_the_workers(
    folder: Path, options: tuple[str, ...]
) -> None:
    with started(folder, 3, *options) as server, ExitStack() as clients:
        spread_evenly(server, clients, [], 3)


def test_with_one_thread_a_worker_takes_only_what_it_can_run(folder: Path) -> None:
    with started(folder, 3, "-t", "1") as server, ExitStack() as clients:
        asked = [clients.enter_context(closing(server.connect())) for _ in range(9)]
        for number, client in enumerate(asked):
            client.request("GET", f"/wait?{number}")
        for turn in (1, 2, 3):
            server.line("waits", 3 * turn)  # none waits behind another while a worker is free
            running = [line.split() for line in server.out if "waits" in line][-3:]
            assert len({pid for _, _, _, pid in running}) == 3
            for number, _, _, _ in running:
                open_gate(folder, number)
        answers = Counter(client.getresponse().read() for client in asked)
        assert sorted(answers.values()) == [3, 3, 3]


def test_slow_requests_spread_evenly_over_the_workers(folder: Path) -> None:
    with started(folder, 2, "-t", "16") as server, ExitStack() as clients:
        running: Counter[str] = Counter()
        number = 0
        while len(running) < 2 or max(running.values()) > min(running.values()) + 1 or number < 8:
            assert number < GATES, running
            clients.enter_context(closing(server.connect())).request("GET", f"/wait?{number}")
            running[server.line(f"{number} waits").split()[-1]] += 1
            number += 1


def test_a_worker_that_holds_the_interpreter_lock_keeps_only_its_own_connections_waiting(
    folder: Path,
) -> None:
    with started(folder, 3) as server, ExitStack() as clients:
        kept = keep(server, clients, 24)
        healthy = kept[-1][1]
        for pid in {pid for _, pid in kept} - {healthy}:
            next(client for client, its in kept if its == pid).request("GET", "/stuck")
        server.line("stuck", 2)
        others = [client for client, pid in kept if pid == healthy]
        assert others
        for client in others:
            assert ask(client) == healthy
        # The kernel may wake the leader of a stuck worker first, which cannot continue.
        assert {pid for _, pid in keep(server, clients, 12)} == {healthy}


def is_suspended(pid: int) -> bool:
    """Whether every thread of the process has stopped."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)


def test_a_suspended_worker_gets_no_connection_until_it_continues(folder: Path) -> None:
    with started(folder, 2) as server, ExitStack() as clients:
        kept = keep(server, clients, 8)
        suspended = kept[0][1]
        suspend(int(suspended))
        eventually(lambda: is_suspended(int(suspended)))
        more = keep(server, clients, 8)
        assert suspended not in {pid for _, pid in more}
        os.kill(int(suspended), signal.SIGCONT)
        assert ask(kept[0][0]) == suspended
        spread_evenly(server, clients, kept + more, 2)


def test_a_worker_that_joins_takes_connections_until_it_has_as_many(folder: Path) -> None:
    with started(folder, 2) as server, ExitStack() as clients:
        kept = keep(server, clients, 16)
        before = {pid for _, pid in kept}
        server.send(signal.SIGTTIN)
        while {pid for _, pid in kept} == before:
            with closing(server.connect()) as client:
                newcomer = ask(client)
                if newcomer not in before:
                    kept.append((client, newcomer))
        kept.pop()
        spread_evenly(server, clients, kept, 3)


def test_another_worker_takes_the_place_of_one_that_died(folder: Path) -> None:
    with started(folder, 2) as server, ExitStack() as clients:
        kept = keep(server, clients, 12)
        dead = kept[0][1]
        os.kill(int(dead), signal.SIGKILL)
        server.line("another one takes its place")
        kept = [(client, pid) for client, pid in kept if pid != dead]
        before = {pid for _, pid in kept}
        newcomer = next(iter(before))
        while newcomer in before:
            with closing(server.connect()) as client:
                newcomer = ask(client)
        spread_evenly(server, clients, kept, 2)


def test_connections_of_several_listeners_spread_together(folder: Path) -> None:
    path = str(folder / "socket")
    with started(folder, 2, "-b", "127.0.0.1:0", "-b", f"unix:{path}") as server:
        with ExitStack() as clients:
            kept: list[tuple[Client, bytes]] = []
            while len(kept) < 16 or spread(kept)[-1] > 1.25 * spread(kept)[0]:
                assert len(kept) < 200, spread(kept)
                kept += keep(server, clients, 1)
                client = clients.enter_context(closing(server.connect()))
                client.sock = socket.socket(socket.AF_UNIX)
                client.sock.connect(path)
                kept.append((client, ask(client)))
