"""One HTTP/2 connection, and the requests on it, each of which is a connection to the engine.

    Pipe               the socket, the session of the protocol, and the lock of both
    StreamConnection   a Connection for one request: its machine is a Stream of the session
    StreamSocket       its socket: content comes out, frames go in

The rest of the server handles a StreamConnection like a connection of HTTP/1.1 with one request. It
has no descriptor (`fd` is negative), so what would be told to the poller is told to its socket.

Which thread may touch what:

    the leader          `streams`, to add; everything with the lock
    the thread that     the StreamConnection and its Stream, like those of HTTP/1.1; what the
    runs a request      StreamSocket does, takes the lock
    any thread          `Connection.cut`; `queue` of the Pipes, to append, and waking the leader

The lock is taken for the session, for the pipe's socket and for what the pipe keeps unsent. Code
under it neither blocks nor takes another lock nor calls the application, so every thread may wait
for it, whatever locks it has. A Stream is shared: the session changes `received`, `ended`, `reset`
and the windows under the lock; the thread of the request reads them without it. It may see an old
value, and then the leader serves the connection again, because each of these changes appends it to
`queue`. Only its own thread changes `reading`, `writing` and the rest. `segments` are appended by
that thread before it sends their bytes, and used up under the lock.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

from carboy.net.poller import READ, WRITE, is_ready
from carboy.protocol.http2.codes import Code
from carboy.server.connection import CLOSED, PIPE, Connection

if TYPE_CHECKING:
    from carboy.protocol.http2.session import Session
    from carboy.protocol.http2.stream import Stream
    from carboy.server.connection import FileRest, Template
    from carboy.server.http2.pipes import Pipes

Precedence = tuple[int, bool, int]
GONE = 8  # flags of a connection whose client has gone: EPOLLERR
QUANTUM = 64 * 1024  # bytes of one response that are sent before others have their turn
FULL = 256 * 1024  # bytes unsent above which responses wait
SECOND = 1.0


class Pipe(Connection):
    """A connection that speaks HTTP/2. Made of one that has sent the first line of the preface."""

    __slots__ = (
        "announce_at", "behind", "change", "completed", "dirty", "goodbye_at", "lock", "over",
        "partial_since", "pipes", "queued", "reorder", "session", "streams",
    )  # fmt: skip

    def __init__(self, before: Connection, session: Session, pipes: Pipes, now: float) -> None:
        super().__init__(before.sock, before.machine, before.peer, before.server, now)
        self.interest = before.interest
        self.proxied, self.scheme = before.proxied, before.scheme
        self.phase = PIPE
        self.session = session
        self.pipes = pipes
        self.lock = threading.RLock()
        self.change = threading.Condition(self.lock)  # threads of requests wait for it
        self.streams: dict[int, StreamConnection] = {}
        self.dirty = False  # the leader is about to look at it
        self.queued = False  # the leader is about to read the frames that the last turn has left
        self.over = False  # requests are neither read nor answered
        self.behind: dict[StreamConnection, None] = {}  # those with something left to send, in turn
        self.reorder = False  # the leader has to find out which of them goes on
        # during a stop, in monotonic seconds
        self.announce_at = 0.0  # when it is announced, although requests run
        self.goodbye_at = 0.0  # when the last stream is named; 0.0: not announced yet
        self.partial_since = now  # monotonic seconds; 0.0: nothing is incomplete
        self.completed = 0  # frames that had come whole at that time

    # --- with the lock

    def transmit(self) -> None:
        """Send what the session has for the client; what the socket does not take is kept."""
        out = self.session.sender.out
        if out:
            data = bytes(out)
            out.clear()
            if not self.push(data):
                self.pipes.look_at(self)

    def first(self, at_once: bool = True) -> Precedence | None:
        """The precedence of the responses that go on; None: there is no order.

        Without `at_once`, the window of the connection may be closed.
        """
        if not self.behind or self.pipes.single_threaded:  # the only thread sends its own response
            return None
        can_send = self.session.sender.can_send
        return min(
            (
                each.stream.precedence
                for each in self.behind
                if each.interest & WRITE  # the leader sends it
                and (can_send(each.stream) or (each.stream.window > 0 and not at_once))
            ),
            default=None,
        )

    def note(self, connection: StreamConnection, done: bool = False) -> None:
        """A response has sent something, or could not, or is done with. With the lock."""
        if connection.has_unsent and not done:
            self.behind[connection] = None
        elif connection not in self.behind:
            return
        else:
            del self.behind[connection]
        if self.behind:
            self.ask_for_a_turn()

    def ask_for_a_turn(self) -> None:
        """Have the leader find out which responses go on, in its next turn. With the lock."""
        self.reorder = True
        self.pipes.look_at(self)

    @property
    def full(self) -> bool:
        """Whether responses have to wait until the client has read some of what is unsent."""
        return self.unsent_bytes > FULL


class StreamConnection(Connection):
    """A connection of the engine for one request of a pipe."""

    own_socket = False

    __slots__ = ("pipe", "queued", "sent", "stream", "turn")

    def __init__(self, pipe: Pipe, stream: Stream, now: float) -> None:
        super().__init__(StreamSocket(pipe, stream, self), stream, pipe.peer, pipe.server, now)
        self.proxied, self.scheme = pipe.proxied, pipe.scheme
        self.pipe = pipe
        self.stream = stream  # the machine
        self.interest = READ
        self.queued = False  # the leader is about to look at it
        self.turn = self.sent = 0  # number of a turn of the leader, and bytes sent in it

    # One template for all requests of a client: threads that run two of them may replace it, but
    # each replaces the pair of fields and environ at once.
    @property
    def template(self) -> Template | None:
        return self.pipe.template

    @template.setter
    def template(self, made: Template | None) -> None:
        if made is not None:  # the end of one request is not the end of the others
            self.pipe.template = made

    def flags(self) -> int:
        """The flags that the poller would report for it."""
        stream, interest = self.stream, self.interest
        if self.broken or stream.reset or self.pipe.over:
            return GONE
        flags = READ if interest & READ and stream.readable else 0
        if interest & WRITE:
            with self.pipe.lock:  # its thread may be using up the segments
                if self.may_send(self.pipe.first()):
                    flags |= WRITE
        return flags

    def waits_for_others(self, at_once: bool = True) -> bool:
        """Whether the client would take more, but other responses go first. With the lock."""
        first = self.pipe.first(at_once)
        return first is not None and self.stream.precedence > first

    @property
    def frames_are_next(self) -> bool:
        """Whether the next bytes are whole frames, such as a head, which wait for nothing."""
        segments = self.stream.segments
        return bool(segments) and not segments[0][0]

    def may_send(self, first: Precedence | None) -> bool:
        """Whether there is room, and no other response goes first. With the lock of the pipe."""
        if self.pipe.full or not self.pipe.session.sender.can_send(self.stream):
            return False
        return first is None or self.stream.precedence <= first or self.frames_are_next

    def is_quiet(self) -> bool:
        """False: a request is never idle."""
        return False

    def push_other(self, data: bytes, flags: int = 0, uncorking: bool = False) -> bool:
        """As for HTTP/1.1; the bytes are content of the stream."""
        self.stream.account(len(data))
        return self.push(data)

    def push_file(self, file: FileRest, sendfile: bool) -> None:
        """As for HTTP/1.1; the kernel does not make frames."""
        super().push_file(file, False)

    def flush(self, sendfile: bool = True) -> bool:
        """As for HTTP/1.1; the kernel does not make frames."""
        done = super().flush(False)
        with self.pipe.lock:
            self.pipe.note(self)
        return done

    def wait(self, flag: int) -> float:
        """Block this thread until there is content, or room; a second at most."""
        pipe = self.pipe
        stream = self.stream
        start = pipe.pipes.clock()
        if pipe.pipes.single_threaded:
            pipe.pipes.serve_here(pipe)
        else:
            with pipe.lock:
                if flag == WRITE and self.had_its_turn():
                    pipe.ask_for_a_turn()
                pipe.change.wait_for(lambda: self._ready(stream, flag), SECOND)
                if flag == WRITE and self.waits_for_others(at_once=False):
                    return 0.0  # the client is not slow
        return min(pipe.pipes.clock() - start, SECOND)

    def _ready(self, stream: Stream, flag: int) -> bool:
        if self.broken or stream.reset or self.pipe.over:
            return True
        if flag == READ:
            return stream.readable
        if self.had_its_turn() and not self.frames_are_next:
            return False
        return self.may_send(self.pipe.first())

    def had_its_turn(self) -> bool:
        """Whether it has sent enough, and the leader has to begin another turn. With the lock."""
        pipes = self.pipe.pipes
        if self.turn != pipes.turn:
            self.turn, self.sent = pipes.turn, 0
        return self.sent >= QUANTUM and bool(self.pipe.behind) and not pipes.single_threaded


class StreamSocket:
    """The socket of one request: a net.stream.Stream."""

    __slots__ = ("_connection", "_pipe", "_stream")

    def __init__(self, pipe: Pipe, stream: Stream, connection: StreamConnection) -> None:
        self._pipe = pipe
        self._stream = stream
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe.sock, name)  # facts and variables of TLS

    def fileno(self) -> int:
        """-1: it has no descriptor."""
        return -1

    def _check(self) -> None:
        if self._stream.reset or self._pipe.over or self._pipe.broken:
            raise ConnectionResetError("The client has gone, or has cancelled the request.")

    def recv(self, size: int) -> bytes:
        """Content that has come; b"" at its end."""
        pipe, stream = self._pipe, self._stream
        with pipe.lock:
            self._check()
            if not stream.received:
                if stream.ended:
                    return b""
                raise BlockingIOError
            data = pipe.session.take(stream, size)
            pipe.transmit()
            return data

    def send(self, data: Any) -> int:
        """Put bytes of the response into frames, as far as the client's windows allow."""
        if not data:
            return 0
        pipe, stream = self._pipe, self._stream
        with pipe.lock:
            self._check()
            most = self._most(pipe)
            sent = pipe.session.sender.send(stream, data, most) if most else 0
            self._connection.sent += sent
            if sent and self._connection in pipe.behind:
                del pipe.behind[self._connection]  # those that have waited longer go first now
                pipe.behind[self._connection] = None
            elif sent < len(data):
                pipe.behind[self._connection] = None
            if stream.finished and pipe.pipes.gathering:
                pipe.pipes.look_at(pipe)
            else:
                pipe.transmit()
        if not sent:
            raise BlockingIOError
        return sent

    def _most(self, pipe: Pipe) -> int:
        """The number of bytes to send next, at least: those of one frame may be more."""
        connection = self._connection
        had_its_turn = connection.had_its_turn()
        if pipe.full or not pipe.behind:
            return 0 if pipe.full else QUANTUM
        if connection.frames_are_next:
            return 1
        if connection.waits_for_others():
            return 0
        if had_its_turn:
            pipe.ask_for_a_turn()
            return 0
        return QUANTUM

    def watched(self) -> None:
        """The engine has begun to watch for something that may be there already."""
        self._pipe.pipes.enqueue(self._connection)

    def shutdown(self, how: int) -> None:
        """Return if a whole response has ended our side. Otherwise reset the stream; OSError.

        After a whole response, the rest of the request is drained as over HTTP/1.1. A reset would
        make clients such as curl and httpx discard the response.
        """
        pipe, stream = self._pipe, self._stream
        if how == socket.SHUT_WR and stream.finished and not stream.ended:
            return
        with pipe.lock:
            pipe.session.reset(stream, Code.CANCEL)
            pipe.transmit()
        pipe.pipes.enqueue(self._connection)
        raise OSError("Nothing is left to drain on this stream.")

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Nothing: the stream of an incomplete response is reset when it is closed."""

    def close(self) -> None:
        """The request is done with: reset the stream if it has not ended."""
        pipe = self._pipe
        with pipe.lock:
            pipe.session.forget(self._stream)
            pipe.streams.pop(self._stream.id, None)
            pipe.note(self._connection, done=True)
            pipe.since = pipe.pipes.clock()  # it may be idle from now on
            if pipe.session.sender.out or not pipe.streams:
                pipe.pipes.look_at(pipe)


def is_readable(pipe: Pipe, seconds: float) -> bool:
    """Whether the socket becomes readable within `seconds`."""
    return pipe.phase is not CLOSED and is_ready(pipe.fd, READ, seconds)
