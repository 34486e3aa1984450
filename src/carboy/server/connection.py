"""One accepted connection: its socket, its machine, and the bytes that are still to be sent.

One thread owns a connection at a time: the leader, or the thread that runs its request, until this
thread gives the exchange back. Only the owner uses a connection, with these exceptions:

    cut                     any thread
    reset_on_close          the leader, for a connection that it is about to cut
    flush                   the leader, with the lock `exchange.sending` (server/streams.py)
    moved, body_sent, phase  read by the heartbeat and the leader, for figures

In the phase LATER, the owner is the thread that holds the channel's lock (server/channel.py).

server/crew.py has the whole table of threads. This file knows neither gateways nor logs.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING, Any

from carboy.net.poller import WRITE, is_ready
from carboy.net.stream import Stream, send_part
from carboy.protocol.interface import ConnectionMachine
from carboy.server.minimum_rate import MinimumRate

if TYPE_CHECKING:
    from threading import RLock

    from carboy.protocol.proxy_protocol import ProxyHeader
    from carboy.server.exchange import ServerExchange
    from carboy.server.request_body import ReceivedBody


# What followed the target of the last request, its environ without its own part, and the part of
# that environ that all requests of the connection share; None if it was another client's.
Template = tuple[bytes, dict[str, Any], dict[str, Any] | None]


class Phase(Enum):
    """The things that a connection waits for; each has its deadline (server/deadlines.py)."""

    HEAD = "the rest of a head"
    IDLE = "the next request"
    BODY = "the rest of a body"
    RUNNING = "the application"
    STREAMING = "the client, to take what was made of a streamed response"
    LATER = "the application, which answers through a channel"
    WRITING = "the client, to take the response"
    LINGER = "the client, to read the last response and close"
    PIPE = "the requests of an HTTP/2 connection (server/http2/pipe.py)"
    CLOSED = "nothing"


# Members by plain names: an Enum's attribute is looked up slowly on Python 3.11.
HEAD, IDLE, BODY, RUNNING, STREAMING, LATER, WRITING, LINGER, PIPE, CLOSED = Phase


NOTHING = nullcontext()  # instead of a lock, if there is none


# Held while responses that were kept back are sent. The thread that replaces a leader sends them
# while the old leader may be sending the next response.
corks = Lock()


class ClientGone(Exception):
    """The client has gone or was too slow: nothing reads the rest of the response."""


class Connection:
    """The engine's side of one connection."""

    own_socket = True  # that of the client; False for a request of HTTP/2

    __slots__ = (
        "after_sent",
        "body_sent",
        "broken",
        "corked",
        "deferred",
        "exchange",
        "fd",
        "file",
        "interest",
        "machine",
        "minimum_rate",
        "moved",
        "peer",
        "phase",
        "proxied",
        "received",
        "repeated",
        "scheme",
        "server",
        "since",
        "sock",
        "taken",
        "taking",
        "template",
        "unread",
        "unsent",
        "unsent_bytes",
    )

    def __init__(
        self,
        sock: Stream,
        machine: ConnectionMachine,
        peer: tuple[str, int] | None,
        server: tuple[str, int | None],
        now: float,
    ) -> None:
        # for the life of the connection
        self.sock = sock
        self.fd = sock.fileno()
        self.machine = machine
        self.peer = peer
        self.server = server
        self.proxied: ProxyHeader | None = None  # of the PROXY protocol, when it has come
        self.scheme = ""  # of the client, if that header says it
        self.interest = 0  # flags the poller watches for; 0: not registered
        self.broken = False  # nothing can be sent
        # Received bytes wait for the next turn, and nothing more is received until they are used.
        self.deferred = False
        self.template: Template | None = None
        self.repeated: Any = None  # of compiled functions, for a request that comes again
        # for the phase
        self.phase = HEAD
        self.since = now  # monotonic seconds: when the phase began
        self.moved = 0  # bytes received (BODY, LINGER) or sent (STREAMING, WRITING)
        self.minimum_rate: MinimumRate | None = (
            None  # of a phase that counts `moved`, after the first look
        )
        # for the request
        self.exchange: ServerExchange | None = None
        self.received: ReceivedBody | None = None
        self.unsent: deque[memoryview | FileRest] | None = None
        self.unsent_bytes = 0  # bytes in `unsent`, including those of files
        # Responses that leave with the next bytes (server/pipelining.py). Other threads only see
        # whether there are any; see `push`.
        self.corked: bytes | None = None
        self.file: FileRest | None = None
        self.body_sent = 0  # bytes of body handed over for sending
        self.taken = False  # a time limit has ended its request (server/time_limits.py)
        # Held by a thread that takes the connection from the thread that runs its request, and by
        # that thread while it uses the connection before the head of its response. Nothing blocks
        # under it. Made before the first request that may have a time limit (server/guard.py).
        self.taking: RLock | None = None
        self.after_sent: list[Callable[[], object]] | None = None  # called when all is sent
        self.unread = False  # the client may be sending still: drain before closing

    def enter(self, phase: Phase, now: float) -> None:
        """Begin a phase: its deadline counts from `now`."""
        self.phase = phase
        self.since = now
        self.moved = 0
        self.minimum_rate = None

    def is_silent(self) -> bool:
        """Whether not one byte of the first request has come."""
        return self.phase is HEAD and not (self.machine.buffered or self.machine.request_line)

    def is_quiet(self) -> bool:
        """Whether everything that has come is read; asked before an idle connection is closed."""
        return not (self.deferred or is_ready(self.fd))

    # --- sending

    @property
    def has_unsent(self) -> bool:
        """Whether bytes are kept that have not been sent yet."""
        return self.unsent is not None or self.file is not None

    def push(self, data: bytes, flags: int = 0, uncorking: bool = False) -> bool:
        """Send `data` and keep what the socket does not take; returns whether it took everything.

        Never blocks and never raises. `flags` of socket.send are only for a `sock` that is one.
        """
        if self.corked is not None and not uncorking:
            with corks:
                done = self.push((self.corked or b"") + data, flags, uncorking=True)
                self.corked = None  # only now: until then, another thread waits for the lock
            return done
        if self.unsent is None and not self.broken:
            try:
                if flags:
                    sent = self.sock.send(data, flags)  # type: ignore[call-arg]
                else:
                    sent = self.sock.send(data)
                if sent == len(data):
                    return True
            except BlockingIOError:
                sent = 0
            except OSError:
                self.broken = True
                return False
            self.keep_rest(data, sent)
        elif not self.broken:
            self._keep(memoryview(data))
        return False

    def uncork(self) -> None:
        """Send the responses that leave with the next bytes, if there are any; from any thread."""
        if self.corked is not None:
            self.push(b"")

    push_other = push  # bytes of another protocol, which the machine has not seen

    def keep_rest(self, data: bytes, sent: int) -> None:
        """Keep what follows the first `sent` bytes, which the socket has taken."""
        self.moved += sent
        self.unsent = deque()
        self._keep(memoryview(data)[sent:])

    def push_file(self, file: FileRest, sendfile: bool) -> None:
        """Send a part of a file after everything that is kept; never blocks or raises."""
        if self.unsent is None:
            self.unsent = deque()
        self.unsent.append(file)
        self.unsent_bytes += file.left
        self.flush(sendfile)

    def _keep(self, rest: memoryview) -> None:
        if self.unsent is not None and rest:
            self.unsent.append(rest)
            self.unsent_bytes += len(rest)

    def flush(self, sendfile: bool = True) -> bool:
        """Send more of the kept bytes; returns whether nothing is left to send."""
        try:
            while self.unsent:
                piece = self.unsent[0]
                if isinstance(piece, FileRest):
                    if not self._flush_part(piece, sendfile):
                        return self.broken
                    continue
                sent = self.sock.send(piece)
                self.unsent_bytes -= sent
                self.moved += sent
                if sent < len(piece):
                    self.unsent[0] = piece[sent:]
                    return False
                self.unsent.popleft()
            self.unsent = None
            return self.file is None or self._flush_file(self.file, sendfile)
        except BlockingIOError:
            return False
        except OSError:
            self.give_up()
            return True

    def _flush_file(self, file: FileRest, sendfile: bool) -> bool:
        if file.left:
            sent = send_part(self.sock, file.fd, file.offset, file.left, sendfile)
            if not sent:  # the file became shorter than announced
                self.reset_on_close()
                self.give_up()
                return True
            file.offset += sent
            file.left -= sent
            self.moved += sent
            # One step a turn: other connections wait too.
            if file.left:
                return False
        self.forget_file()
        return True

    def _flush_part(self, file: FileRest, sendfile: bool) -> bool:
        """Send more of the file that is first in `unsent`; returns whether it is complete."""
        sent = send_part(self.sock, file.fd, file.offset, file.left, sendfile)
        if not sent:  # the file became shorter than announced
            self.reset_on_close()
            self.give_up()
            return False
        file.offset += sent
        file.left -= sent
        self.moved += sent
        self.unsent_bytes -= sent
        if file.left or self.unsent is None:
            return False  # one step a turn, as below
        self.unsent.popleft()
        file.close()
        return True

    def forget_file(self) -> None:
        """Let go of the files that were being sent."""
        if self.file is not None:
            self.file.close()
            self.file = None
        for piece in self.unsent or ():
            if isinstance(piece, FileRest):
                piece.close()

    def give_up(self) -> None:
        """Send nothing more, and discard what is kept."""
        self.broken = True
        self.forget_file()
        self.unsent = None
        self.unsent_bytes = 0

    def wait_below(self, mark: int, grace: float, rate: int, silence: float) -> None:
        """Block this thread until at most `mark` bytes are kept.

        Raises ClientGone when the client has gone or is too slow: `grace`, `rate` and `silence` are
        those of MinimumRate.
        """
        minimum_rate = MinimumRate(0.0, grace, rate, silence)
        waited = 0.0
        before = self.moved
        while not self.broken:
            self.flush()
            if self.unsent_bytes <= mark:
                break
            if minimum_rate.is_too_slow(waited, self.moved - before):
                self.give_up()
                break
            waited += self.wait(WRITE)
        if self.broken:
            raise ClientGone

    def wait(self, flag: int) -> float:
        """Block this thread until the socket is ready, a second at most; the seconds it took."""
        start = time.monotonic()
        is_ready(self.fd, flag, 1.0)
        # At most the timeout: the rest is time in which this process was suspended.
        return min(time.monotonic() - start, 1.0)

    def early_hints(self, headers: list[tuple[str, str]]) -> None:
        """Send a 103 with these fields at once (RFC 8297); an HTTP/1.0 client gets nothing.

        Raises LocalProtocolError when the response has begun.
        """
        with self.taking or NOTHING:
            if not self.taken:
                self.push(self.machine.informational("103 Early Hints", headers))

    def all_sent(self) -> None:
        """Call what waits for the end of the response; for the leader."""
        calls, self.after_sent = self.after_sent or (), None
        for call in calls:
            call()

    # --- ending

    def cut(self) -> None:
        """Shut the connection down; from any thread. The owner notices, and closes it."""
        self.broken = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def reset_on_close(self) -> None:
        """Make the client see an error and not an end, because the response is incomplete."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        except OSError:
            pass


_NO_LINGER = b"\1\0\0\0\0\0\0\0"  # struct linger {on = 1, seconds = 0}


class FileRest:
    """The part of a file that is still to be sent, on a descriptor of its own."""

    __slots__ = ("fd", "left", "offset")

    def __init__(self, fd: int, offset: int, left: int) -> None:
        # The application may close its file as soon as it has returned its response.
        self.fd = os.dup(fd)
        self.offset = offset
        self.left = left

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)
