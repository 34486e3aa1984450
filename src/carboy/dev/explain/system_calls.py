"""The calls into C that a recorder notes: which of them, for which socket, and how many bytes."""

from __future__ import annotations

import os
import sys
from _socket import socket as CSocket  # its methods run no code of subclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from carboy.dev.explain import moved_bytes, places
from carboy.dev.explain.places import PYTHON, Place
from carboy.dev.explain.values import brief

# Names of C functions that are recorded: methods of sockets, and the functions in FUNCTIONS.
C_NAMES = frozenset((
    "_accept", "bind", "close", "connect", "detach", "fork", "listen", "recv", "recv_into",
    "recvfrom", "recvmsg", "send", "sendall", "sendfile", "sendmsg", "setsockopt", "shutdown",
))  # fmt: skip
FUNCTIONS = {"fork", "sendfile"}
COUNTS: dict[str, Callable[[Any], int]] = {
    **dict.fromkeys(("recv", "recv_into", "recvfrom", "recvmsg"), moved_bytes.received),
    **dict.fromkeys(("send", "sendall", "sendmsg"), moved_bytes.sent),
}
UNKNOWN = -1  # number of bytes


def system_call(function: Any) -> str:
    """The name of a C function that is recorded, or "".

    The qualified name would have the class of the object, which may be a subclass.
    """
    if isinstance(function.__self__, CSocket):
        return f"socket.{function.__name__}"
    return function.__name__ if function.__name__ in FUNCTIONS else ""


def compiled_module(function: Any) -> str:
    """The compiled module of a C function, or "" if the module belongs to Python.

    A method has no module. It is that of the class that defines it, which may be a base class.
    """
    module, name = function.__module__, function.__name__
    if module is None:
        classes = type(function.__self__).__mro__
        module = next((each.__module__ for each in classes if name in each.__dict__), None)
    is_pythons = type(module) is not str or module.partition(".")[0] in sys.stdlib_module_names
    return "" if is_pythons else module


def place_without_code(module: str, name: str) -> Place:
    """The place of a C function, or of an import."""
    if module == "importlib":
        return Place("", 0, 0, PYTHON, PYTHON, "")
    if module:
        package = places.distribution_of(module.partition(".")[0])
        return Place("", 0, 0, package, places.C_CODE, "")
    return places.of_c(name)


def ends(sock: Any, listeners: set[int]) -> tuple[tuple[str, str], ...]:
    """The addresses of a socket, which show what a system call is for.

    `own` is that of its own end, `peer` that of the other end. A socket that accepts connections
    has `listens` instead.
    """
    if not isinstance(sock, CSocket):
        return ()
    try:
        found = [("own", _address(CSocket.getsockname(sock)))]
    except OSError:
        return ()
    if CSocket.fileno(sock) in listeners:
        return (*found, ("listens", "True"))
    try:
        found.append(("peer", _address(CSocket.getpeername(sock))))
    except OSError:
        pass  # it is not connected
    return tuple(found)


def _address(name: Any) -> str:
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else brief(name)


def note_address(sock: Any, file: Path) -> None:
    """Tell the other process where this one listens, if it is the first TCP socket."""
    address = dict(ends(sock, set())).get("own", "")
    if ":" in address and not file.exists():
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(address, "utf-8")
        unfinished.rename(file)


def moved(function: Any) -> int:
    """How many bytes the socket of a C function has moved so far in its direction."""
    count = COUNTS.get(function.__name__)
    if count is None or not moved_bytes.is_counted() or not isinstance(function.__self__, CSocket):
        return UNKNOWN
    try:
        return count(function.__self__)
    except (OSError, ValueError):
        return UNKNOWN  # it is closed, or not a TCP socket
