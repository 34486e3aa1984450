"""What goes wrong on the wire, with the status it is answered with.

ProtocolError
├── RemoteProtocolError   the client broke a rule: answer with `.status`, then close
└── LocalProtocolError    the application did: nothing of its answer was written
"""

from __future__ import annotations


class ProtocolError(Exception):
    """A rule of HTTP/1.1 was broken."""


class RemoteProtocolError(ProtocolError):
    """The client broke a rule; `status` is the answer, the message says what was wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class LocalProtocolError(ProtocolError):
    """The application's answer cannot be put on the wire as it stands."""
