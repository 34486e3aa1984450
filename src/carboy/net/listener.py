"""A listening socket that this program has bound, and how it is closed without losing a client.

A connection that the kernel has completed waits in the listener's queue; closing the listener
resets it. So new ones are refused first, then the queue is emptied, then the socket is closed:

    refuse() ──▶ accept() until nothing waits ──▶ end(), for every process that has the socket
"""

from __future__ import annotations

import array
import socket
import struct
import sys
from pathlib import Path

from carboy.net.poller import is_readable

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
SYN = 0x02
TCP_FLAGS = 13  # offset in the TCP header (RFC 9293, section 3.1)
# (code, jump if true, jump if false, operand): drop segments with SYN, let all others in.
DROP_SYN = (
    (0x30, 0, 0, TCP_FLAGS),  # load a byte
    (0x45, 0, 1, SYN),  # any of these bits?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # accept
)
LINUX = sys.platform.startswith("linux")


class Listener(socket.socket):
    """A listening socket of our own; those inherited from systemd or a parent are plain sockets."""

    path: str | None = None  # of a unix socket's file
    file: tuple[int, int] | None = None  # device and inode of that file

    def note_file(self, path: str) -> None:
        """Remember which file belongs to the socket; right after it was bound to `path`."""
        try:
            found = Path(path).stat()
        except OSError:
            return  # an abstract socket, or taken away already
        self.path = str(Path(path).absolute())
        self.file = (found.st_dev, found.st_ino)

    def remove_file(self) -> None:
        """Unlink the file of a unix socket, unless another server has put its own there.

        Before the socket is closed: until then no other file can have its inode.
        """
        if self.path is None:
            return
        file = Path(self.path)
        self.path = None
        try:
            found = file.stat()
            if (found.st_dev, found.st_ino) == self.file:
                file.unlink()
        except OSError:
            pass  # gone already, or not ours to remove

    def refuse(self) -> None:
        """Let no new connection into the queue; what waits there can still be accepted.

        TCP clients are left without an answer until `end`, and then refused when they ask again.
        Does nothing where the system has no way to do it.
        """
        if not LINUX:
            return
        try:
            if self.family == socket.AF_UNIX:
                self.shutdown(socket.SHUT_RD)
            else:
                self._drop_new()
        except OSError:
            pass  # closed already

    def _drop_new(self) -> None:
        code = array.array("B", b"".join(struct.pack("HBBI", *each) for each in DROP_SYN))
        program = struct.pack("HP", len(DROP_SYN), code.buffer_info()[0])
        self.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def is_empty(self) -> bool:
        """Whether nothing waits to be accepted."""
        try:
            return not is_readable(self.fileno())
        except (OSError, ValueError):
            return True  # closed

    def end(self) -> None:
        """Refuse every new connection from now on, whichever processes hold the socket too."""
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already, or refused before
