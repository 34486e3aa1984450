"""Strict-Transport-Security behind a proxy that ends TLS (--hsts without --cert).

The field is sent if the client has connected over TLS, as a trusted proxy says. Under TLS of the
server itself, every response has it (server/default_fields.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from carboy.protocol.events import Fields, RequestHead
from carboy.protocol.limits import Limits
from carboy.protocol.machine import Machine


class HstsMachine(Machine):
    """A machine whose responses to requests over TLS have the field, unless they have their own."""

    __slots__ = ("_line", "secure", "secure_head")

    def __init__(self, limits: Limits, line: bytes) -> None:
        super().__init__(limits)
        self._line = line
        self.secure = False  # all requests of the connection
        self.secure_head: RequestHead | None = None  # or the one with this head

    def _extra(self, extra: bytes) -> bytes:
        if self.secure or (self.head is not None and self.head is self.secure_head):
            return extra + self._line
        return extra

    def whole_response(self, status: str, headers: Fields, body: bytes, extra: bytes) -> bytes:
        """As Machine."""
        return super().whole_response(status, headers, body, self._extra(extra))

    def start_response(self, status: str, headers: Fields, extra: bytes) -> bytes:
        """As Machine."""
        return super().start_response(status, headers, self._extra(extra))


def note_scheme(machine: object, head: RequestHead, scheme: str) -> None:
    """Note the scheme of the request with this head, as a trusted proxy says."""
    if isinstance(machine, HstsMachine) and scheme == "https":
        machine.secure_head = head


def note_secure(machine: object) -> None:
    """Note that the client of a connection has connected to a trusted proxy over TLS."""
    if isinstance(machine, HstsMachine):
        machine.secure = True


def machines(limits: Limits, hsts: int) -> Callable[[], Machine]:
    """Makes the machines of plain connections; `hsts` is the max-age in seconds, 0 for none."""
    if not hsts:
        return partial(Machine, limits)
    line = f"Strict-Transport-Security: max-age={hsts}\r\n".encode()
    return partial(HstsMachine, limits, line)
