"""Many conversations with one server at once, each in pieces."""

from __future__ import annotations

import re
import socket
from itertools import zip_longest

AT_ONCE = 100
_date = re.compile(rb"\r\nDate: [^\r]*")


def converse(address: object, conversations: list[list[bytes]]) -> list[bytes]:
    """What each conversation was answered with, to the end of its connection, without dates.

    The first piece of all of them is sent before the second of any, and so on: the server
    has read one when the next one comes, without anybody waiting for a time.
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


def in_singles(octets: bytes) -> list[bytes]:
    """Octet by octet; of a long text only the first and last hundred, and what is between."""
    if len(octets) > 400:
        return [*in_singles(octets[:100]), octets[100:-100], *in_singles(octets[-100:])]
    return [octets[i : i + 1] for i in range(len(octets))]


def in_halves(octets: bytes) -> list[list[bytes]]:
    """Split at every position; of a long text at the first and last hundred, and some between."""
    positions = set(range(1, len(octets)))
    if len(octets) > 400:
        far = range(100, len(octets) - 100, len(octets) // 20)
        positions = {*range(1, 100), *far, *range(len(octets) - 100, len(octets))}
    return [[octets[:position], octets[position:]] for position in sorted(positions)]
