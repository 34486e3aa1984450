from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from carboy.net import AddressInUse, adopt, listen_tcp, listen_unix, systemd_sockets

needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with listen_tcp("127.0.0.1", 0) as sock:
        yield sock


def reachable(sock: socket.socket) -> bool:
    with socket.socket(sock.family) as client:
        client.connect(sock.getsockname())
    return True


def test_port_zero_takes_a_free_port(listener: socket.socket) -> None:
    assert listener.getsockname()[1] > 0
    assert reachable(listener)


def test_a_listener_does_not_block_and_sends_at_once(listener: socket.socket) -> None:
    assert not listener.getblocking()
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_port_in_use_is_told_with_its_address(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(AddressInUse) as caught:
        listen_tcp("127.0.0.1", port)
    assert caught.value.address == f"127.0.0.1:{port}"
    assert f"127.0.0.1:{port} is in use" in str(caught.value)


@needs_proc
def test_the_process_that_holds_a_port_is_named(listener: socket.socket) -> None:
    with pytest.raises(AddressInUse) as caught:
        listen_tcp("127.0.0.1", listener.getsockname()[1])
    assert caught.value.holder is not None
    assert f"(pid {os.getpid()})" in caught.value.holder
    assert caught.value.holder in str(caught.value)


def test_an_address_that_is_not_ours_is_an_error() -> None:
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


def test_no_host_listens_on_ipv4_and_ipv6() -> None:
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


def test_the_umask_is_as_before(tmp_path: Path) -> None:
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


def test_a_file_that_is_no_socket_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("content")
    with pytest.raises(FileExistsError, match="no socket"):
        listen_unix(str(path))
    assert path.read_text() == "content"


# --- inherited descriptors


def test_an_inherited_descriptor_is_adopted(listener: socket.socket) -> None:
    fd = os.dup(listener.fileno())
    os.set_inheritable(fd, True)
    with adopt(fd) as sock:
        assert sock.fileno() == fd
        assert not sock.getblocking()
        assert not sock.get_inheritable()
        assert reachable(sock)


def test_a_descriptor_that_is_no_listener_is_refused(tmp_path: Path) -> None:
    with socket.socket() as plain:
        with pytest.raises(ValueError, match="listening stream socket"):
            adopt(plain.fileno())
        assert plain.fileno() >= 0
        plain.getsockname()  # still open: it was not ours to close
    with (tmp_path / "file").open("w") as file, pytest.raises(ValueError, match="not a socket"):
        adopt(file.fileno())
    with pytest.raises(ValueError, match="not a socket"):
        adopt(9999)


def test_systemd_hands_nothing_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert systemd_sockets() == []
    monkeypatch.delenv("LISTEN_PID")
    assert systemd_sockets() == []
