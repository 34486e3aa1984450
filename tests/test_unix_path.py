"""The length of the path of a unix socket."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carboy import user_sockets
from carboy.net.listener import listen_unix
from carboy.net.probe import probe_unix
from carboy.server.admin.listening import open_admin
from carboy.server.admin.settings import AdminSettings
from carboy.server.bind import open_sockets, parse_bind
from carboy.unix_path import LONGEST, PathTooLong, check_length


@pytest.mark.parametrize(
    "use",
    [
        listen_unix, probe_unix, user_sockets.listen, lambda path: user_sockets.connect(path, 1.0),
    ],
)  # fmt: skip
def test_a_path_that_is_too_long_is_refused_in_plain_words(use: Callable[[str], Any]) -> None:
    with pytest.raises(
        PathTooLong, match=r"^\[Errno \d+\] The path has 121 bytes, and the path of"
    ):
        use("/" + "x" * 120)


def test_the_server_says_so_wherever_it_listens() -> None:
    path = "/" + "x" * 120
    with pytest.raises(OSError, match=r"Cannot listen on unix:/x+\. The path has 121 bytes"):
        open_sockets([parse_bind(f"unix:{path}")], 1)
    with pytest.raises(OSError, match=r"Cannot listen on --admin /x+\. The path has 121 bytes"):
        open_admin(AdminSettings(admin=(path,)))


def test_the_longest_path_is_that_of_the_system(tmp_path: Path) -> None:
    check_length("x" * LONGEST)
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match="too long"):
        sock.bind("/" + "x" * LONGEST)
    with pytest.raises(PathTooLong):
        check_length("\u00e4" * LONGEST)  # two bytes each
