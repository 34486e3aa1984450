"""The opening handshake, on the server's side (RFC 6455, sections 4.2 and 11.3; RFC 8441).

The machine has read and validated the head, with its one Host. Over HTTP/2, the head has no
Sec-WebSocket-Key, and the response is 200 without Sec-WebSocket-Accept (RFC 8441, section 5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from carboy.grammar import has_control, is_token
from carboy.late import base64

from ..events import HTTP_2, Fields, RequestHead

VERSION = "13"
# RFC 6455, section 1.3
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# Section 4.2.1, number 5: base64 of 16 bytes
_key = re.compile(r"[A-Za-z0-9+/]{22}==").fullmatch

REASONS = {
    400: "400 Bad Request",
    403: "403 Forbidden",
    405: "405 Method Not Allowed",
    426: "426 Upgrade Required",
    501: "501 Not Implemented",
}
# Fields of the 101 that the handshake itself sets, and those that a 101 does not have.
OWN = frozenset({
    "upgrade", "connection", "sec-websocket-accept", "sec-websocket-protocol",
    "sec-websocket-extensions", "sec-websocket-key", "sec-websocket-version", "content-length",
    "transfer-encoding",
})  # fmt: skip


class HandshakeError(Exception):
    """The handshake is refused: the status, headers and text of the response."""

    def __init__(self, status: int, text: str, headers: Fields | None = None) -> None:
        super().__init__(text)
        self.status = REASONS[status]
        self.headers: Fields = [("Content-Type", "text/plain; charset=utf-8"), *(headers or ())]
        self.body = f"{text}\n".encode()


@dataclass(frozen=True, slots=True)
class Handshake:
    """The values of a valid handshake."""

    key: str | None  # None: over HTTP/2
    subprotocols: tuple[str, ...]  # in the client's order of preference
    extensions: tuple[str, ...]  # the lines of Sec-WebSocket-Extensions
    origin: str | None

    @property
    def status(self) -> str:
        """The status of the response that accepts the handshake."""
        return "200 OK" if self.key is None else "101 Switching Protocols"

    def acceptance(
        self,
        subprotocol: str | None = None,
        extensions: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Fields:
        """The fields of that response (section 4.2.2).

        Raises ValueError for a subprotocol that the client has not offered, and for `headers` that
        the handshake sets itself.
        """
        fields = []
        if self.key is not None:
            fields.append(("Upgrade", "websocket"))
            fields.append(("Connection", "Upgrade"))
            fields.append(("Sec-WebSocket-Accept", accept_key(self.key)))
        if subprotocol is not None:
            if subprotocol not in self.subprotocols:
                offered = ", ".join(self.subprotocols) or "none"
                raise ValueError(
                    f"The client has not offered the subprotocol {subprotocol!r} (it has offered:"
                    f" {offered}). Accept one of these, or none."
                )
            fields.append(("Sec-WebSocket-Protocol", subprotocol))
        if extensions is not None:
            fields.append(("Sec-WebSocket-Extensions", extensions))
        for name, value in headers:
            if name.lower() in OWN:
                raise ValueError(f"The handshake sets the header {name} itself. Leave it out.")
            if not is_token(name) or has_control(value):
                raise ValueError(f"The header {name!r}: {value!r} has characters that break it.")
            fields.append((name, value))
        return fields


def accept_key(key: str) -> str:
    """The value of Sec-WebSocket-Accept (section 4.2.2, number 5.4)."""
    from hashlib import sha1

    return base64.b64encode(sha1((key + GUID).encode(), usedforsecurity=False).digest()).decode()


def is_handshake(head: RequestHead) -> bool:
    """Whether a request asks for a WebSocket, well or badly.

    An Upgrade field counts only with the option in Connection and in HTTP/1.1 (RFC 9110,
    section 7.8), which is what `head.upgrade` says.
    """
    return head.upgrade and any(
        name.lower() == "upgrade" and any(token.lower() == "websocket" for token in _list(value))
        for name, value in head.fields()
    )


def read_handshake(head: RequestHead) -> Handshake | None:
    """The handshake in `head`, or None if it asks for no WebSocket. Raises HandshakeError."""
    if not is_handshake(head):
        return None
    if head.method != "GET":
        raise HandshakeError(
            405, "A WebSocket handshake is a GET request. Use GET.", [("Allow", "GET")]
        )
    if head.has_body:
        raise HandshakeError(400, "A WebSocket handshake has no body. Send the request without it.")
    lines: dict[str, list[str]] = {}
    for name, value in head.fields():
        lines.setdefault(name.lower(), []).append(value)
    if lines.get("sec-websocket-version") != [VERSION]:
        raise HandshakeError(
            426,
            f"The server speaks version {VERSION} of WebSocket. Send one Sec-WebSocket-Version"
            f" with the value {VERSION}.",
            [("Sec-WebSocket-Version", VERSION), ("Upgrade", "websocket")],
        )
    keys = lines.get("sec-websocket-key", [])
    if head.minor != HTTP_2 and (len(keys) != 1 or not _key(keys[0])):
        raise HandshakeError(
            400, "The handshake needs one Sec-WebSocket-Key: the base64 form of 16 bytes."
        )
    origins = lines.get("origin", [])
    if len(origins) > 1:
        raise HandshakeError(400, "The handshake has more than one Origin. Send one.")
    return Handshake(
        None if head.minor == HTTP_2 else keys[0],
        _subprotocols(lines.get("sec-websocket-protocol", [])),
        tuple(lines.get("sec-websocket-extensions", ())),
        origins[0] if origins else None,
    )


def _subprotocols(lines: list[str]) -> tuple[str, ...]:
    """The offered subprotocols: different tokens (section 4.1, number 10)."""
    names = [name for line in lines for name in _list(line)]
    if lines and not names:
        raise HandshakeError(400, "Sec-WebSocket-Protocol is empty. Name one, or leave it out.")
    for name in names:
        if not is_token(name):
            raise HandshakeError(400, f"{name!r} is not the name of a subprotocol. Use a token.")
    if len(set(names)) < len(names):
        raise HandshakeError(400, "A subprotocol is offered twice. Offer each one once.")
    return tuple(names)


def _list(value: str) -> list[str]:
    """The members of a list (RFC 9110, section 5.6.1); empty members are left out."""
    return [each for part in value.split(",") if (each := part.strip(" \t"))]
