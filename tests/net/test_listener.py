from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from carboy.net import AddressInUse, adopt, listen_tcp, listen_unix, systemd_sockets
from carboy.net.listener import Listener

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


@pytest.fixture(params=["tcp", "unix"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Listener:
    return (
        listen_tcp("127.0.0.1", 0) if request.param == "tcp" else listen_unix(str(tmp_path / "s"))
    )


@linux
def test_waiting_connections_can_be_accepted_after_new_ones_are_refused(listener: Listener) -> None:
    with listener, socket.socket(listener.family) as early, socket.socket(listener.family) as late:
        early.connect(listener.getsockname())
        listener.refuse()
        late.settimeout(0.05)
        with pytest.raises((TimeoutError, ConnectionRefusedError)):
            late.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            early.sendall(b"x")
            assert accepted.recv(1) == b"x"
            assert listener.is_empty() or listener.family == socket.AF_UNIX


@linux
def test_end_refuses_connections_in_every_process_that_has_the_socket(listener: Listener) -> None:
    with listener, listener.dup(), socket.socket(listener.family) as late:
        address = listener.getsockname()
        listener.refuse()
        listener.end()
        with pytest.raises(ConnectionRefusedError):
            late.connect(address)


def test_the_file_of_another_server_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listen_unix(str(path)) as first:
        path.unlink()
        with listen_unix(str(path)) as second:
            first.remove_file()
            assert path.exists()
            second.remove_file()
            assert not path.exists()


needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")


@pytest.fixture
def tcp_listener() -> Iterator[socket.socket]:
    with listen_tcp("127.0.0.1", 0) as sock:
        yield sock


def reachable(sock: socket.socket) -> bool:
    with socket.socket(sock.family) as client:
        client.connect(sock.getsockname())
    return True


def test_port_zero_takes_a_free_port(tcp_listener: socket.socket) -> None:
    assert tcp_listener.getsockname()[1] > 0
    assert reachable(tcp_listener)


def test_a_listener_does_not_block_and_sends_at_once(tcp_listener: socket.socket) -> None:
    assert not tcp_listener.getblocking()
    assert tcp_listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    with pytest.raises(BlockingIOError):
        tcp_listener.accept()


def test_the_error_for_a_used_port_has_the_address(tcp_listener: socket.socket) -> None:
    port = tcp_listener.getsockname()[1]
    with pytest.raises(AddressInUse) as caught:
        listen_tcp("127.0.0.1", port)
    assert caught.value.address == f"127.0.0.1:{port}"
    assert f"127.0.0.1:{port} is already in use" in str(caught.value)


@needs_proc
def test_the_process_that_holds_a_port_is_named(tcp_listener: socket.socket) -> None:
    with pytest.raises(AddressInUse) as caught:
        listen_tcp("127.0.0.1", tcp_listener.getsockname()[1])
    assert caught.value.holder is not None
    assert f"(pid {os.getpid()})" in caught.value.holder
    assert caught.value.holder in str(caught.value)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(OSError):
        listen_tcp("192.0.2.1", 0)


def test_a_port_is_free_again_right_after_closing() -> None:
    first = listen_tcp("127.0.0.1", 0)
    address = first.getsockname()
    with socket.create_connection(address):
        accepted, _ = wait_accept(first)
        accepted.close()
    first.close()
    with listen_tcp("127.0.0.1", address[1]) as second:
        assert second.getsockname() == address


def wait_accept(sock: socket.socket) -> tuple[socket.socket, object]:
    sock.settimeout(10)
    return sock.accept()


def test_an_empty_host_listens_on_ipv4_and_ipv6() -> None:
    with listen_tcp("", 0) as sock:
        port = sock.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            pass
        if sock.family == socket.AF_INET6:
            with socket.create_connection(("::1", port)):
                pass


# --- unix sockets


def test_a_unix_socket_gets_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listen_unix(str(path), 0o620) as sock:
        assert stat.S_IMODE(path.stat().st_mode) == 0o620
        assert reachable(sock)


def test_the_umask_is_restored(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with listen_unix(str(tmp_path / "s"), 0o600):
            assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    listen_unix(path).close()
    assert Path(path).exists()
    with listen_unix(path) as sock:
        assert reachable(sock)


def test_a_live_unix_socket_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with listen_unix(path) as sock:
        with pytest.raises(AddressInUse) as caught:
            listen_unix(path)
        assert caught.value.address == path
        assert reachable(sock)


@needs_proc
def test_the_process_that_holds_a_unix_socket_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with listen_unix(path), pytest.raises(AddressInUse) as caught:
        listen_unix(path)
    assert caught.value.holder is not None
    assert f"(pid {os.getpid()})" in caught.value.holder


def test_a_file_that_is_not_a_socket_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("content")
    with pytest.raises(FileExistsError, match="not a socket"):
        listen_unix(str(path))
    assert path.read_text() == "content"


# --- inherited descriptors


def test_an_inherited_descriptor_is_adopted(tcp_listener: socket.socket) -> None:
    fd = os.dup(tcp_listener.fileno())
    os.set_inheritable(fd, True)
    with adopt(fd) as sock:
        assert sock.fileno() == fd
        assert not sock.getblocking()
        assert not sock.get_inheritable()
        assert reachable(sock)


def test_a_descriptor_that_is_not_a_listener_is_refused(tmp_path: Path) -> None:
    with socket.socket() as plain:
        with pytest.raises(ValueError, match="listening stream socket"):
            adopt(plain.fileno())
        assert plain.fileno() >= 0
        plain.getsockname()  # still open: it was not ours to close
    with (tmp_path / "file").open("w") as file, pytest.raises(ValueError, match="not a socket"):
        adopt(file.fileno())
    with pytest.raises(ValueError, match="not a socket"):
        adopt(9999)


def test_sockets_passed_to_another_process_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert systemd_sockets() == []
    monkeypatch.delenv("LISTEN_PID")
    assert systemd_sockets() == []


@pytest.mark.parametrize(
    ("names", "expected"), [("web:admin", ["web", "admin"]), ("web", ["web", "unknown"]),
                            (":b:c", ["unknown", "b"]), (None, ["unknown", "unknown"])],
)  # fmt: skip
def test_sockets_of_systemd_have_names(
    monkeypatch: pytest.MonkeyPatch, names: str | None, expected: list[str]
) -> None:
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    if names is None:
        monkeypatch.delenv("LISTEN_FDNAMES", raising=False)
    else:
        monkeypatch.setenv("LISTEN_FDNAMES", names)
    monkeypatch.setattr("carboy.net.listener.adopt", lambda fd: fd)
    assert systemd_sockets() == list(zip(expected, (3, 4), strict=True))
