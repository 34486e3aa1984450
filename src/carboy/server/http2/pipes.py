"""The HTTP/2 connections of an engine. Only the leader calls this file, except as marked.

    a turn     `serve` each pipe whose socket is ready: what the session reads is queued
               `run` what is queued: requests begin, content and windows are passed on
               `finish_turn`: what the requests of this turn have sent leaves in one piece
    `tick`     once an interval: deadlines of pipes
    `stop`     a graceful stop: GOAWAY with the last stream as soon as no request runs; while some
               do, after `idle_grace`, first a GOAWAY that only announces it (RFC 9113, section 6.8)

server/http2/pipe.py says which thread may touch what.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from carboy.net.poller import READ, WRITE
from carboy.protocol.http2.codes import REQUEST_LINE, Code, ConnectionFailed
from carboy.protocol.http2.events import Event, Happened
from carboy.protocol.http2.session import Session
from carboy.protocol.http2.stream import Stream
from carboy.server.closing import Closing
from carboy.server.connection import CLOSED, HEAD, PIPE, Connection
from carboy.server.crew import Lead
from carboy.server.http2.pipe import (
    GONE,
    SECOND,
    Pipe,
    StreamConnection,
    is_readable,
)
from carboy.server.http2.setup import Begin, ServeByPhase
from carboy.server.minimum_rate import MinimumRate
from carboy.server.responder import Responder
from carboy.server.settings import Settings

log = logging.getLogger("carboy.error")

BUG = "A bug in Carboy was triggered by a client's input. Its connection is closed."
REST_OF_PREFACE = b"\r\nSM\r\n\r\n"
LINE_END = b"\n"
NEVER = float("inf")
GOODBYE = 1.0  # seconds for the client to answer the PING of a stop


class Pipes:
    """Serves HTTP/2."""

    def __init__(
        self,
        settings: Settings,
        connections: dict[int, Connection],
        closing: Closing,
        responder: Responder,
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._connections = connections
        self._closing = closing
        self._responder = responder
        self._wake = wake
        self._secure = responder.scheme == "https"
        self.clock = time.monotonic
        self.single_threaded = settings.threads == 1
        self.all: dict[Pipe, None] = {}
        self.opened = 0  # since the start
        # Connections of requests to look at, and pipes with more input than one turn reads.
        self.queue: deque[StreamConnection | Pipe] = deque()
        self.dirty: deque[Pipe] = deque()  # pipes with something to send or to end
        # What complete responses send is gathered until the end of the turn. Another thread leads
        # soon if a request takes long, unless the leader is the only thread.
        self.gathering = False
        self.turn = 0  # number of the leader's turns that have sent something
        self._stopping = False
        self._ticked = self.clock()
        self.websocket = False  # clients may open WebSockets
        # of the engine
        self.begin: Begin
        self.serve_by_phase: ServeByPhase

    # --- from any thread

    def enqueue(self, connection: StreamConnection) -> None:
        """Have the leader look at the connection of a request."""
        if not connection.queued:
            connection.queued = True
            self.queue.append(connection)
            self._wake()

    def look_at(self, pipe: Pipe, wake: bool = True) -> None:
        """Have the leader look at a pipe. With its lock, or on the leader's thread.

        Only the leader may leave out `wake`: it looks at `dirty` before it waits. A pipe that is
        dirty already needs no waking, because the leader was woken, or has not waited since.
        """
        if not pipe.dirty:
            pipe.dirty = True
            self.dirty.append(pipe)
            if wake:
                self._wake()

    # --- a connection becomes a pipe

    def take(self, connection: Connection, data: bytes) -> bool:
        """Speak HTTP/2 if the client does, and may; returns whether it is so.

        `data` is what was received last: the machine of HTTP/1.1 has refused the first line of
        the preface at its end, and everything after the line is still there.
        """
        if connection.machine.request_line != REQUEST_LINE or not self._allowed(connection):
            return False
        rest = data[data.index(LINE_END) + 1 :]
        settings = self._settings
        limits = settings.limits, settings.http2_limits
        session = Session(*limits, REST_OF_PREFACE, self.websocket)
        now = self.clock()
        pipe = Pipe(connection, session, self, now)
        self._connections[connection.fd] = pipe
        connection.phase = CLOSED  # the pipe has taken its place
        self.all[pipe] = None
        self.opened += 1
        pipe.announce_at = now + settings.idle_grace
        self._receive(pipe, rest, now)
        return True

    def _allowed(self, connection: Connection) -> bool:
        if self._secure:
            chosen = getattr(connection.sock, "protocol", None)
            return chosen == "h2"
        return self._settings.http2.h2c

    # --- a turn

    def serve(self, pipe: Connection, flags: int, now: float) -> None:
        """The socket of a pipe is ready."""
        if not isinstance(pipe, Pipe):
            return
        if flags & WRITE:
            with pipe.lock:
                pipe.flush(False)
                if not pipe.full:
                    pipe.change.notify_all()
            self.look_at(pipe, wake=False)
            if not pipe.full:
                self._writable(pipe)
        # Frames that the last turn has left are read first, by `run`: otherwise they would pile up.
        if flags & ~WRITE and not pipe.over and not pipe.session.more:
            self._read(pipe, now)

    def _read(self, pipe: Pipe, now: float) -> None:
        try:
            with pipe.lock:
                data = pipe.sock.recv(self._settings.read_size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._receive(pipe, data, now)
        else:
            self._lose(pipe)

    def _receive(self, pipe: Pipe, data: bytes, now: float) -> None:
        """Let the session read bytes, and queue what happened."""
        session = pipe.session
        failure = None
        with pipe.lock:
            try:
                session.receive(data, now)
            except ConnectionFailed as error:
                failure = error
            except Exception as error:
                log.critical(BUG, exc_info=error)
                pipe.broken = True
            events = list(session.events)
            session.events.clear()
        if failure is not None:
            self._fail(pipe, failure, now)
            return
        if pipe.broken:
            self._lose(pipe)
            return
        writable = False
        for event in events:
            if event.stream is not None:
                self._note(pipe, event, event.stream, now)
            elif event.what is Happened.PONG:
                self._say_goodbye(pipe)
            else:
                writable = True
        if writable:  # once, because every stream is looked at
            self._writable(pipe)
        if events:
            pipe.since = now
            with pipe.lock:
                pipe.change.notify_all()
        if not session.incomplete:
            pipe.partial_since = 0.0
        elif not pipe.partial_since or session.completed != pipe.completed:
            pipe.partial_since = now  # what is incomplete has begun after the last look
        pipe.completed = session.completed
        if session.more:
            self._queue(pipe)
        self.look_at(pipe, wake=False)

    def _note(self, pipe: Pipe, event: Event, stream: Stream, now: float) -> None:
        what, refusal = event.what, event.error
        if what is Happened.OPENED or what is Happened.REFUSED:
            connection = pipe.streams[stream.id] = StreamConnection(pipe, stream, now)
            if refusal is None:
                self._queue(connection)
            else:
                self._closing.refuse(connection, refusal, now)
        elif what is Happened.MALFORMED:
            if refusal is not None:
                self._responder.record_refusal(StreamConnection(pipe, stream, now), refusal)
        elif (found := pipe.streams.get(stream.id)) is not None:
            found.broken = found.broken or stream.reset
            self._queue(found)

    def _queue(self, connection: StreamConnection | Pipe) -> None:
        if not connection.queued:
            connection.queued = True
            self.queue.append(connection)

    def _writable(self, pipe: Pipe) -> None:
        """Responses may be sent again: the first ones by their priority, or all that share it."""
        with pipe.lock:
            pipe.reorder = False
            first = pipe.first()
            pipe.change.notify_all()
            order = dict.fromkeys((*pipe.behind, *pipe.streams.values()))
        for each in order:
            if (first is None or each.stream.precedence <= first) and each.flags():
                self._queue(each)

    def run(self, lead: Lead, now: float) -> None:
        """Look at everything that is queued; what is added meanwhile waits for the next turn."""
        self.gathering = not self.single_threaded
        queue = self.queue
        for _ in range(len(queue)):
            each = queue.popleft()
            each.queued = False
            if isinstance(each, Pipe):
                if each.phase is PIPE and not each.over:
                    self._receive(each, b"", now)
                continue
            if each.phase is HEAD and not each.flags() & GONE:
                self._begin(lead, each)
            elif each.phase is HEAD:
                self._closing.close(each)
            elif flags := each.flags():
                self.serve_by_phase(lead, each, flags, now)
            else:
                continue
            if each.phase is not CLOSED and each.flags() & ~GONE:
                self._queue(each)

    def _begin(self, lead: Lead, connection: StreamConnection) -> None:
        head = connection.stream.head
        if head is not None:
            self.begin(lead, connection, head)

    def finish_turn(self) -> None:
        """Send what was gathered, and watch and end pipes as they need it."""
        self.gathering = False
        self.turn += 1
        dirty = self.dirty
        for _ in range(len(dirty)):
            pipe = dirty.popleft()
            pipe.dirty = False  # before the lock: what is done under it after this asks again
            if pipe.phase is not PIPE:
                continue
            with pipe.lock:
                pipe.transmit()
                broken = pipe.broken
                if pipe.behind:
                    # Threads that have had their turn wait for this one. `_writable` may have told
                    # them to look before it began.
                    pipe.change.notify_all()
            if pipe.reorder:
                self._writable(pipe)
            if broken:
                self._lose(pipe)
            elif not pipe.over:
                self._rewatch(pipe)
            self._end_if_done(pipe)

    def _rewatch(self, pipe: Pipe) -> None:
        """While the client does not read, nothing more is read of it."""
        with pipe.lock:
            unsent, full = pipe.unsent is not None, pipe.full
        flags = (WRITE if unsent else 0) | (0 if full else READ)
        if flags != pipe.interest:
            self._closing.watch(pipe, flags)
        if unsent and pipe.minimum_rate is None:
            settings = self._settings
            pipe.moved = 0
            pipe.minimum_rate = MinimumRate(
                self.clock(), settings.write_grace, settings.write_rate, settings.silence_timeout
            )
        elif not unsent:
            pipe.minimum_rate = None

    # --- the end of a pipe

    def _lose(self, pipe: Pipe) -> None:
        """The client has gone: so have the clients of all its requests."""
        with pipe.lock:
            pipe.over = pipe.broken = True
            pipe.give_up()
            pipe.change.notify_all()
        self._closing.watch(pipe, 0)
        self._break_streams(pipe)
        self._end_if_done(pipe)

    def _break_streams(self, pipe: Pipe) -> None:
        for each in list(pipe.streams.values()):
            each.broken = True
            self._queue(each)

    def _fail(self, pipe: Pipe, failure: ConnectionFailed, now: float) -> None:
        """The client broke a rule: GOAWAY is sent, and the connection closed."""
        client = pipe.peer[0] if pipe.peer else "a unix socket"
        say = log.warning if failure.code is Code.ENHANCE_YOUR_CALM else log.info
        say(
            "An HTTP/2 connection of %s was ended with %s: %s.",
            client, failure.code.name, failure.message,
        )  # fmt: skip
        with pipe.lock:
            pipe.transmit()
            pipe.over = True
            pipe.change.notify_all()
        self._closing.watch(pipe, 0)
        self._break_streams(pipe)
        self._end_if_done(pipe)

    def _end_if_done(self, pipe: Pipe) -> None:
        """Close a pipe that is over, or has been told to go, once it has no request left."""
        session = pipe.session
        if pipe.streams or pipe.phase is not PIPE:
            return
        if self._stopping and not pipe.over and session.going_away is None and session.last:
            # A client that has sent a request meanwhile knows that it was not read, and sends it
            # again on another connection.
            with pipe.lock:
                session.go_away()
                pipe.transmit()
        if not pipe.over and (session.going_away is None or pipe.unsent is not None):
            return
        with pipe.lock:
            pipe.over = True
            pipe.unread = not pipe.broken
            self._closing.end(pipe, self.clock())
        self.all.pop(pipe, None)

    # --- once an interval

    def tick(self, now: float) -> None:
        """End pipes that take too long, or have been idle for too long."""
        settings = self._settings
        gap, self._ticked = now - self._ticked, now
        for pipe in list(self.all):
            if pipe.phase is not PIPE:
                del self.all[pipe]
                continue
            if pipe.behind:
                self._leave_out(pipe, gap)
            rate = pipe.minimum_rate
            if rate is not None and rate.is_too_slow(now, pipe.moved):
                pipe.reset_on_close()
                self._lose(pipe)
            elif pipe.partial_since and now - pipe.partial_since > settings.headers_timeout:
                self._dismiss(pipe)
            elif pipe.goodbye_at and now >= pipe.goodbye_at:
                self._say_goodbye(pipe)
            elif self._stopping and now >= pipe.announce_at and not pipe.goodbye_at:
                self._announce(pipe, now)
            elif not pipe.streams and now - pipe.since > settings.keepalive_timeout:
                self._dismiss(pipe)

    def _leave_out(self, pipe: Pipe, seconds: float) -> None:
        """The time in which a response waits for others is not that of a slow client."""
        with pipe.lock:
            for each in pipe.behind:
                if each.minimum_rate is not None and each.waits_for_others(at_once=False):
                    each.minimum_rate.put_off(seconds)

    def _dismiss(self, pipe: Pipe) -> None:
        """Close a pipe on which nothing happens."""
        with pipe.lock:
            pipe.session.go_away()
            pipe.transmit()
            pipe.over = True
            pipe.change.notify_all()
        self._break_streams(pipe)
        self._end_if_done(pipe)

    def stop(self, now: float) -> None:
        """A graceful stop begins; may be called again."""
        if not self._stopping:
            self._stopping = True
            for pipe in self.all:
                pipe.announce_at = now + self._settings.idle_grace
                self.look_at(pipe, wake=False)

    def _announce(self, pipe: Pipe, now: float) -> None:
        """Ask for no further requests: the last one that is served is named soon."""
        with pipe.lock:
            if pipe.session.going_away is not None:
                return
            pipe.session.announce_stop()
        pipe.goodbye_at = now + GOODBYE
        self.look_at(pipe, wake=False)

    def _say_goodbye(self, pipe: Pipe) -> None:
        """Name the last stream that is served."""
        pipe.goodbye_at = NEVER
        with pipe.lock:
            pipe.session.go_away()
        self.look_at(pipe, wake=False)

    # --- the only thread waits

    def serve_here(self, pipe: Pipe) -> None:
        """Receive and send on the thread of a request, because it is the only one."""
        with pipe.lock:
            pipe.transmit()
        if pipe.over:
            pass
        elif pipe.session.more:
            self._receive(pipe, b"", self.clock())
        elif is_readable(pipe, SECOND):
            self._read(pipe, self.clock())
        with pipe.lock:
            pipe.flush(False)
            pipe.transmit()
