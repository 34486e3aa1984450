"""permessage-deflate (RFC 7692): negotiation, and the compression of messages.

A context of zlib takes 10 to 40 KiB. So neither side takes its context over to the next message
(`server_no_context_takeover`, `client_no_context_takeover`; section 7.1.1), and a connection that
waits has none.
"""

from __future__ import annotations

import zlib

from websockets.exceptions import (
    InvalidHeaderFormat,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
)
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import CONT, CTRL_OPCODES, Frame
from websockets.headers import build_extension, parse_extension
from websockets.typing import ExtensionHeader

from .handshake import HandshakeError

NAME = PerMessageDeflate.name
_FACTORY = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
)
# A window of 4 KiB compresses nearly as well as one of 32 KiB and takes half the time. A sender may
# use a smaller window than the one that was agreed on.
WINDOW_BITS = 12
MEMORY_LEVEL = 5
LEAST = 256  # bytes: shorter messages hardly become shorter
# Section 7.2.2: the end of a message that the sender leaves out
TRAILER = b"\x00\x00\xff\xff"
# A sender may end a stream within a message (section 7.2.3.5). Each end copies what follows it.
MOST_ENDS = 64


def negotiate(lines: tuple[str, ...], allowed: bool = True) -> tuple[str | None, Deflate | None]:
    """The value of Sec-WebSocket-Extensions for the response, and the extension; or None twice.

    The first offer that can be accepted is (section 5.1). An offer with a parameter that is
    unknown, given twice or has a wrong value is declined (section 7.1). Raises HandshakeError for
    a line that breaks the grammar (RFC 6455, section 9.1).
    """
    offers = [offer for line in lines for offer in _parsed(line)]
    for name, parameters in offers if allowed else ():
        if name == NAME:
            try:
                answer, agreed = _FACTORY.process_request_params(parameters, [])
            except NegotiationError:
                continue
            extension = Deflate(agreed.remote_max_window_bits, agreed.local_max_window_bits)
            return build_extension([(NAME, answer)]), extension
    return None, None


def _parsed(line: str) -> list[ExtensionHeader]:
    try:
        return parse_extension(line)
    except InvalidHeaderFormat:
        raise HandshakeError(
            400, "Sec-WebSocket-Extensions is malformed. Send a list of extensions."
        ) from None


class Deflate(Extension):
    """The extension of one connection, on the server's side.

    `decode` is called by the websockets package with each frame of the client, its limit is the
    number of bytes that the message may still have after decompression.
    """

    name = NAME
    __slots__ = ("_ends", "_inflater", "client_bits", "server_bits")

    def __init__(self, client_bits: int, server_bits: int) -> None:
        self.client_bits = client_bits  # window of what the client sends
        self.server_bits = server_bits
        self._inflater: zlib._Decompress | None = None  # of a compressed message that has begun
        self._ends = 0

    @property
    def inflating(self) -> bool:
        """Whether a compressed message has begun and not ended."""
        return self._inflater is not None

    def compress(self, payload: bytes) -> bytes:
        """The payload of one whole message, compressed (section 7.2.1)."""
        bits = min(WINDOW_BITS, self.server_bits)
        context = zlib.compressobj(wbits=-bits, memLevel=MEMORY_LEVEL)
        return (context.compress(payload) + context.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def encode(self, frame: Frame) -> Frame:
        """The frame as it is: only control frames are sent through the websockets package."""
        return frame

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """A frame without the compression. Raises ProtocolError and PayloadTooBig."""
        if frame.opcode in CTRL_OPCODES:
            return frame
        if frame.opcode is CONT:
            if self._inflater is None:
                return frame
            if frame.rsv1:
                raise ProtocolError("RSV1 is set in a continuation frame.")
        elif not frame.rsv1:
            return frame
        else:
            self._inflater = self._context()
            self._ends = 0
        data = bytes(frame.data) + TRAILER if frame.fin else bytes(frame.data)
        try:
            data = self._inflated(data, max_size or 0)
        except zlib.error:
            raise ProtocolError("The message is not compressed correctly.") from None
        if frame.fin:
            self._inflater = None
        return Frame(frame.opcode, data, frame.fin, False, frame.rsv2, frame.rsv3)

    def _context(self) -> zlib._Decompress:
        return zlib.decompressobj(wbits=-self.client_bits)

    def _inflated(self, data: bytes, limit: int) -> bytes:
        """Decompressed bytes of a message; never makes more than `limit` + 1 of them."""
        inflater = self._inflater or self._context()
        pieces = []
        left = limit
        while True:
            piece = inflater.decompress(data, left + 1)
            left -= len(piece)
            if left < 0:
                raise PayloadTooBig(None, limit)
            pieces.append(piece)
            if not inflater.eof:
                break
            data = inflater.unused_data
            inflater = self._inflater = self._context()
            self._ends += 1
            if self._ends > MOST_ENDS:
                raise ProtocolError("The message has too many compressed streams.")
        return b"".join(pieces)
