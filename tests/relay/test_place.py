"""The folder of the sockets of relays."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from carboy import user_sockets
from carboy.relay import place


def dead() -> int:
    """The identifier of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_server_removes_the_sockets_of_servers_that_were_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = user_sockets.folder()
    ended = dead()
    left_behind, serves, runs, other = (
        folder / name
        for name in (f"a-{ended}.sock", f"b-{ended}.sock", f"c-{os.getpid()}.sock", "d-e.sock")
    )
    for path in (left_behind, runs, other):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    with socket.socket(socket.AF_UNIX) as elsewhere:  # of a process in another container
        elsewhere.bind(str(serves))
        elsewhere.listen()
        with place.listen(None) as listener:
            own = Path(listener.getsockname())
            assert set(folder.iterdir()) == {serves, runs, other, own}
