"""Sockets that systemd keeps for a server while it restarts (FDSTORE)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from carboy.net.listener import Listener, listen_tcp, listen_unix
from carboy.server.bind import open_sockets, parse_bind
from carboy.server.passed_sockets import PassedSockets, store
from running import PATIENCE, Running, free_port

APP = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getppid()]
"""
# Becomes a service of systemd with the sockets that are given as descriptors, and their names.
SERVICE = """
import fcntl, os, sys
fds = [each for each in sys.argv[1].split(",") if each]
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_FDNAMES"] = sys.argv[2]
copies = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in fds]
for place, copy in enumerate(copies, 3):
    os.dup2(copy, place)
os.execv(sys.executable, [sys.executable, "-m", "carboy", "run", *sys.argv[3:]])
"""


class Manager:
    """The part of systemd that gets notifications and keeps descriptors."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(PATIENCE)
        self.env = {"NOTIFY_SOCKET": self.path, "FDSTORE": "8"}
        self.kept: dict[str, int] = {}
        self.removed: list[str] = []

    def until(self, wanted: str) -> None:
        """Take messages until one has this line."""
        while True:
            message, fds, _, _ = socket.recv_fds(self.socket, 4096, 8)
            lines = message.decode().splitlines()
            fields = dict(line.partition("=")[::2] for line in lines)
            if "FDSTORE" in fields:
                assert fields["FDPOLL"] == "0" and ":" not in fields["FDNAME"]
                (self.kept[fields["FDNAME"]],) = fds
            if "FDSTOREREMOVE" in fields:
                self.removed.append(fields["FDNAME"])
                os.close(self.kept.pop(fields["FDNAME"]))
            if wanted in lines:
                return

    def start(self, folder: Path, *args: str) -> Running:
        """A service with what was kept."""
        fds, names = ",".join(map(str, self.kept.values())), ":".join(self.kept)
        command = ("-c", SERVICE, fds, names, "app", *args)
        pass_fds = list(self.kept.values())
        return Running(cwd=folder, command=command, pass_fds=pass_fds, env=self.env)

    def close(self) -> None:
        self.socket.close()
        for fd in self.kept.values():
            os.close(fd)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    (tmp_path / "app.py").write_text(APP)
    found = Manager(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize("how", ["--supervisor", "--no-supervisor"])
def test_a_client_that_connects_during_a_restart_is_answered(
    tmp_path: Path, manager: Manager, how: str
) -> None:
    port = free_port()
    with manager.start(tmp_path, "--port", str(port), how) as first:
        manager.until("READY=1")
        assert first.get()[0] == 200
        assert list(manager.kept) == [f"carboy.127.0.0.1%3A{port}"]
        assert first.stop() == 0
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as waiting:
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with manager.start(tmp_path, "--port", str(port), how) as second:
            assert waiting.recv(65536).startswith(b"HTTP/1.1 200")
            manager.until("READY=1")
            assert second.address() == ("127.0.0.1", port)
            assert second.stop() == 0


def test_a_socket_at_another_address_is_closed(tmp_path: Path, manager: Manager) -> None:
    with manager.start(tmp_path, "--bind", f"unix:{tmp_path}/a.sock") as server:
        manager.until("READY=1")
        assert server.stop() == 0
    (name,) = manager.kept
    assert (tmp_path / "a.sock").is_socket()
    with manager.start(tmp_path, "--bind", "127.0.0.1:0") as server:
        manager.until("READY=1")
        assert manager.removed == [name]
        assert not (tmp_path / "a.sock").exists()
        assert server.stop() == 0


def kept(*listeners: Listener) -> PassedSockets:
    return PassedSockets(
        (f"carboy.{number}", socket.socket(fileno=os.dup(each.fileno())))
        for number, each in enumerate(listeners)
    )


def test_a_socket_that_was_kept_is_used_for_its_address_only() -> None:
    with listen_tcp("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        passed = kept(listener)
        assert passed.kept_at_port("127.0.0.1", port + 1) == []
        assert passed.kept_at_port("127.0.0.2", port) == []
        assert passed.kept_at_port("", port) == [] and passed.kept_at_port("no.invalid", port) == []
        (found,) = open_sockets([parse_bind(f"127.0.0.1:{port}")], 10, passed=passed)
        assert found.getsockname() == listener.getsockname() and found.stored  # type: ignore[attr-defined]
        assert passed.kept_at_port("127.0.0.1", port) == []
        found.close()


def test_a_unix_socket_whose_file_is_gone_is_not_used(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with listen_unix(path) as listener:
        passed = kept(listener)
        listener.remove_file()
        assert passed.kept_at_path(path) == []
        passed.forget_rest()


def test_nothing_is_kept_without_the_variable(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    with listen_tcp("127.0.0.1", 0) as first, listen_tcp("127.0.0.1", 0) as second:
        for wrong in ("", "0", "many"):
            monkeypatch.setenv("FDSTORE", wrong)
            store([first, second])
            assert not first.stored
        monkeypatch.setenv("FDSTORE", "1")
        store([first, second])
        assert first.stored and not second.stored  # no more than systemd keeps
