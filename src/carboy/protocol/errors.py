"""Protocol errors, with the status of the response to each.

ProtocolError
├── RemoteProtocolError   the client broke a rule: respond with `.status`, then close
└── LocalProtocolError    the application broke one: nothing of its response was written
"""

from __future__ import annotations

# The reason phrases of refusals, as RFC 9110, section 15, and RFC 6585 have them; those of
# Python's http.HTTPStatus depend on its version.
REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    421: "Misdirected Request",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}


class ProtocolError(Exception):
    """A rule of HTTP/1.1 was broken."""


class RemoteProtocolError(ProtocolError):
    """The client broke a rule. `status` is the response; the message says what was wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class LocalProtocolError(ProtocolError):
    """The application's response cannot be sent as it is."""


def content_too_large(limit: int) -> RemoteProtocolError:
    """The 413 for a body larger than `limit` bytes, by its Content-Length or by its chunks.

    `limit` is the setting `limit_body`, or what the application says (MAX_CONTENT_LENGTH).
    """
    return RemoteProtocolError(413, f"the body is larger than the {limit} bytes allowed here")
