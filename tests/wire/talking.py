"""Many conversations with one server at the same time, each sent in pieces."""

from __future__ import annotations

import re
import socket
from itertools import zip_longest

AT_ONCE = 100
_date = re.compile(rb"\r\nDate: [^\r]*")


def converse(address: object, conversations: list[list[bytes]]) -> list[bytes]:
    """The response bytes of each conversation, up to the end of its connection, without dates.

    The first piece of all of them is sent before the second of any, and so on: the server has
    read one piece when the next one comes, and the test does not wait for a time.
    """
    answers: list[bytes] = []
    for start in range(0, len(conversations), AT_ONCE):
        answers += _converse(address, conversations[start : start + AT_ONCE])
    return answers


def _converse(address: object, conversations: list[list[bytes]]) -> list[bytes]:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    socks = [socket.socket(family, socket.SOCK_STREAM) for _ in conversations]
    try:
        for sock in socks:
            sock.settimeout(30)
            sock.connect(address)
            if family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for turn in zip_longest(*conversations):
            for sock, piece in zip(socks, turn, strict=True):
                if piece is not None:
                    sock.sendall(piece)
        return [_date.sub(b"", _rest(sock)) for sock in socks]
    finally:
        for sock in socks:
            sock.close()


def _rest(sock: socket.socket) -> bytes:
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def in_singles(data: bytes) -> list[bytes]:
    """Byte by byte; of a long text only the first and last hundred, and what is between."""
    if len(data) > 400:
        return [*in_singles(data[:100]), data[100:-100], *in_singles(data[-100:])]
    return [data[i : i + 1] for i in range(len(data))]


def in_halves(data: bytes) -> list[list[bytes]]:
    """Split at every position; long data at the first and last hundred, and at some between."""
    positions = set(range(1, len(data)))
    if len(data) > 400:
        far = range(100, len(data) - 100, len(data) // 20)
        positions = {*range(1, 100), *far, *range(len(data) - 100, len(data))}
    return [[data[:position], data[position:]] for position in sorted(positions)]
