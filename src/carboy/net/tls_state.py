"""The state of a TLS connection, without the module ssl, for compiled functions.

Servers without TLS load these too, and the module ssl takes 1.6 MB of their own memory.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

# Bytes given to OpenSSL at a time. A piece that OpenSSL has begun to write must be offered again
# unchanged, so pieces are small enough to show the progress of a slow reader.
PIECE = 64 * 1024


class Phase(Enum):
    """The state of a TLS connection."""

    NEW = "nothing has been received"
    HANDSHAKE = "the handshake is not complete"
    OPEN = "bytes can be sent and received"
    ENDED = "our side has ended: what the client still sends is only counted"
    PLAIN = "the client does not speak TLS, and gets one response without it"


class TlsState:
    """The attributes of a TlsStream that compiled functions use.

    `_read`, `_pending` and `_write` are functions of OpenSSL's object, set before the phase is
    OPEN.
    """

    __slots__ = ("_pending", "_phase", "_read", "_write")

    _phase: Phase
    _read: Callable[[int], bytes]
    _pending: Callable[[], int]
    _write: Callable[[Any], int]
