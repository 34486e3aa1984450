"""How many bytes a TCP socket has received and sent so far, as the system counts them.

A hook of the interpreter sees that `recv` or `send` was called, but neither its result nor its
arguments. The difference of two counts is the number of bytes.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from _socket import socket as CSocket  # its methods run no code of subclasses
from array import array
from typing import Any

fcntl: Any = None
termios: Any = None
with contextlib.suppress(ImportError):  # not available on Windows
    import fcntl
    import termios

# Places in the struct tcp_info of Linux.
STATE, ACKNOWLEDGED_AT, ARRIVED_AT = 0, 120, 128
SIZE = ARRIVED_AT + 8
# States in which the end of the other side has come, which counts as one byte.
ENDED = {6, 8, 9, 11}  # TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING


def is_counted() -> bool:
    """Whether this system counts the bytes of a connection."""
    return fcntl is not None and hasattr(socket, "TCP_INFO")


def received(sock: Any) -> int:
    """How many bytes were taken from the queue of a socket. Raises OSError if it is closed."""
    return _stable(sock, termios.FIONREAD, ARRIVED_AT, -1)


def sent(sock: Any) -> int:
    """How many bytes were put into the queue of a socket. Raises OSError if it is closed."""
    return _stable(sock, termios.TIOCOUTQ, ACKNOWLEDGED_AT, 1)


def _stable(sock: Any, queue: int, place: int, sign: int) -> int:
    """The count of the system with the bytes in the queue, at one moment."""
    waiting = array("i", [0])
    while True:
        before = _count(sock, place)
        fcntl.ioctl(CSocket.fileno(sock), queue, waiting)
        if _count(sock, place) == before:
            return before + sign * waiting[0]


def _count(sock: Any, place: int) -> int:
    info = CSocket.getsockopt(sock, socket.IPPROTO_TCP, socket.TCP_INFO, SIZE)
    if len(info) < SIZE:
        raise OSError("This system does not count the bytes.")
    count: int = struct.unpack_from("Q", info, place)[0]
    return count - (place == ARRIVED_AT and info[STATE] in ENDED)
