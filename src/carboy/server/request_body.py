"""A request body: received by the engine, or read by the application itself."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

from carboy.net.poller import READ
from carboy.protocol.errors import RemoteProtocolError
from carboy.protocol.events import Data, Signal
from carboy.server.minimum_rate import MinimumRate
from carboy.server.splice import Splice
from carboy.spooled_body import SpooledBody

if TYPE_CHECKING:
    from carboy.server.connection import Connection


# A body that will not fit into memory goes to a file once this much has come: not before, so that
# a client that only announces one does not cost a descriptor.
EARLY = 16 * 1024


class ReceivedBody:
    """Collects a body in memory, and in a temporary file once it is larger than `limit`.

    `announced`: its Content-Length, if it has one.
    """

    __slots__ = ("_file", "_limit", "in_file", "size")

    def __init__(self, limit: int, announced: int | None = None) -> None:
        self._limit = min(limit, EARLY) if announced is not None and announced > limit else limit
        self._file: Any = io.BytesIO()
        self.in_file = False
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add a piece. Raises OSError when the disk takes no more."""
        self.size += len(data)
        if self.size > self._limit and not self.in_file:
            self._spool()
        self._file.write(data)

    def _spool(self) -> None:
        import tempfile

        memory = self._file
        self._file = tempfile.TemporaryFile(prefix="carboy-")
        self.in_file = True
        self._file.write(memory.getbuffer())

    def take_from(self, channel: Splice, count: int) -> None:
        """Move `count` bytes of the channel into the file. Raises OSError like `write`."""
        self._file.flush()
        channel.empty(self._file.raw, count)
        self.size += count

    def finish(self) -> BinaryIO:
        """The whole body, at its start. Raises OSError when the disk takes no more."""
        file: BinaryIO = self._file
        if self.in_file:
            # Nothing is written from here on; `detach` writes what the buffer still has.
            self._file = file = SpooledBody(self._file.detach())
        file.seek(0)
        return file

    def close(self) -> None:
        """Forget the body and its temporary file."""
        self._file.close()


class BodyStream(io.BufferedReader):
    """The unread body, as the application reads it."""

    def __init__(self, connection: Connection, rate: MinimumRate, read_size: int) -> None:
        self._unread = _Unread(connection, rate, read_size)
        super().__init__(self._unread, read_size)

    @property
    def ended(self) -> bool:
        """Whether the client has sent all of it, and it was received."""
        return self._unread.ended


class BodyTooSlow(OSError):
    """The client sends its body more slowly than the server allows."""


class _Unread(io.RawIOBase):
    """The unread body: reading receives, on the thread that reads.

    Raises OSError when the client has gone or breaks a rule; the request is lost then.
    """

    def __init__(self, connection: Connection, rate: MinimumRate, read_size: int) -> None:
        super().__init__()
        self._connection = connection
        self._minimum_rate = rate
        self._read_size = read_size
        self._rest = b""
        self.ended = False
        self._received = 0
        self._waited = 0.0
        self.error: RemoteProtocolError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest and not self.ended:
            self._rest = self._next()
        view = memoryview(buffer)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next(self) -> bytes:
        machine = self._connection.machine
        if machine.continue_needed:
            self._connection.push(machine.send_continue())
        try:
            event = machine.next_event()
            while True:
                if isinstance(event, Data):
                    return event.data
                if event is Signal.END_OF_MESSAGE:
                    self.ended = True
                    return b""
                if event is not Signal.NEED_DATA:
                    raise ConnectionResetError("The client closed before its body was complete.")
                event = machine.receive(self._receive())
        except RemoteProtocolError as error:
            self.error = error
            raise OSError(f"The request body is broken: {error.message}") from error

    def _receive(self) -> bytes:
        """Bytes from the socket; waits for them as long as the minimum rate allows."""
        sock = self._connection.sock
        while True:
            try:
                data = sock.recv(self._read_size)
            except BlockingIOError:
                if self._minimum_rate.is_too_slow(self._waited, self._received):
                    raise BodyTooSlow("The client sends its body too slowly.") from None
                self._waited += self._connection.wait(READ)
                continue
            self._received += len(data)
            return data
