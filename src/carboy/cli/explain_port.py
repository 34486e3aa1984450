"""The port of the server that a report is about: the same each time, if possible."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from carboy.cli.explain_servers import HOST

USUAL = 5000  # as for `flask run`


@contextmanager
def usual_port() -> Iterator[int]:
    """`USUAL`, so that reports can be compared, or 0 if it is in use.

    Two commands could find the port free before one of their servers listens. So a command holds
    the UDP port of the same number, which no server needs.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as held:
        try:
            held.bind((HOST, USUAL))
        except OSError:
            yield 0
        else:
            yield 0 if is_in_use(USUAL) else USUAL


def is_in_use(port: int) -> bool:
    """Whether another program listens on the port."""
    with socket.socket() as tried:
        if os.name == "posix":  # as servers do, because of connections that ended before
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            return True
    return False
