"""A relay on a thread of this process, for servers without a supervisor."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time

from carboy.relay import place
from carboy.relay.board import Board, Rule
from carboy.relay.server import RelayServer
from carboy.relay.socket_file import INTERVAL

log = logging.getLogger("carboy.error")

_servers: list[RelayServer] = []  # of this process, on threads


def figures() -> dict[str, int]:
    """Those of the relay of this process; empty without one."""
    return _servers[-1].figures() if _servers else {}


def open_relay(
    chosen: str | None, history: int, seconds: float, memory: int, buffer: int, largest: int
) -> tuple[RelayServer, str]:
    """A relay that listens, and its path. Raises OSError or RelayError."""
    listener = place.listen(chosen)
    path: str = listener.getsockname()
    return RelayServer(listener, Board(Rule("*", history, seconds), memory), buffer, largest), path


def serve_in_thread(
    chosen: str | None, history: int, seconds: float, memory: int, buffer: int, largest: int
) -> str:
    """Serve a relay until the process ends; returns the path of its socket."""
    relay, path = open_relay(chosen, history, seconds, memory, buffer, largest)
    process = os.getpid()
    _servers.append(relay)

    def run() -> None:
        while True:
            try:
                relay.turn(INTERVAL)
                relay.file.look(time.monotonic())
            except Exception:
                log.exception("The relay of channels has failed.")
                time.sleep(INTERVAL)  # the next turn may fail in the same way

    def remove() -> None:
        if os.getpid() == process:
            relay.file.remove()

    atexit.register(remove)
    threading.Thread(target=run, name="carboy-relay", daemon=True).start()
    return path
