from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from carboy.net import listen_tcp, listen_unix
from carboy.net.listener import Listener

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


@pytest.fixture(params=["tcp", "unix"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Listener:
    return (
        listen_tcp("127.0.0.1", 0) if request.param == "tcp" else listen_unix(str(tmp_path / "s"))
    )


@linux
def test_what_waits_is_still_accepted_while_new_connections_are_not(listener: Listener) -> None:
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
def test_the_end_is_the_end_in_every_process_that_has_the_socket(listener: Listener) -> None:
    with listener, listener.dup(), socket.socket(listener.family) as late:
        address = listener.getsockname()
        listener.refuse()
        listener.end()
        with pytest.raises(ConnectionRefusedError):
            late.connect(address)


def test_the_file_of_another_server_is_left_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listen_unix(str(path)) as first:
        path.unlink()
        with listen_unix(str(path)) as second:
            first.remove_file()
            assert path.exists()
            second.remove_file()
            assert not path.exists()
