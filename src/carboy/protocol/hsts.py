"""Strict-Transport-Security behind a proxy that ends TLS (--hsts without --cert).

The field is sent if the client has connected over TLS, as a trusted proxy says. Under TLS of the
server itself, every response has it (server/default_fields.py).
"""

from __future__ import annotations

from .events import Fields, RequestHead
from .limits import Limits
from .machine import Machine


class HstsMachine(Machine):
    """A machine whose responses to requests over TLS have the field, unless they have their own.

    `seconds` is its max-age.
    """

    __slots__ = ("_line", "secure", "secure_head")

    def __init__(self, limits: Limits, seconds: int) -> None:
        super().__init__(limits)
        self._line = b"Strict-Transport-Security: max-age=%d\r\n" % seconds
        self.secure = False  # all requests of the connection
        self.secure_head: RequestHead | None = None  # or the one with this head

    def _extra(self, extra: bytes) -> bytes:
        if self.secure or (self.head is not None and self.head is self.secure_head):
            return extra + self._line
        return extra

    def whole_response(self, status: str, headers: Fields, body: bytes, extra: bytes) -> bytes:
        """As Machine."""
        return super().whole_response(status, headers, body, self._extra(extra))

    def head_before(self, status: str, headers: Fields, size: int, extra: bytes) -> bytes:
        """As Machine."""
        return super().head_before(status, headers, size, self._extra(extra))

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
