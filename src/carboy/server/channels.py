"""The channels of an engine: bodies received for them, kept bytes sent, clients that have gone.

Only the leader calls this file, except for `ask` and `wake`. server/channel.py says what each
thread may touch. A connection with a channel is watched for

    READ     while more of the body is wanted; after the body, for the next request
    HANGUP   instead, once the client has sent more than this request, or while nothing is wanted
    WRITE    besides, while bytes are kept
    RESET    instead of READ and HANGUP, once the client has ended its side

A client that has ended its side may still read the response, so it is tested: it is sent bytes that
every response of this kind has next. A closed socket answers them with a reset.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from carboy.gateway.interface import Answer
from carboy.gateway.route import rule_of
from carboy.net import worker_loop
from carboy.net.poller import HANGUP, READ, RESET, WRITE, Poller
from carboy.net.waker import Waker
from carboy.protocol.errors import RemoteProtocolError
from carboy.protocol.events import Data, Signal
from carboy.protocol.states import Reading, Writing
from carboy.server.channel import Channel, LeadersStream
from carboy.server.closing import Closing
from carboy.server.connection import IDLE, LATER, Connection
from carboy.server.disconnects import ZERO, has_disconnected, has_left
from carboy.server.exchange import ServerExchange
from carboy.server.in_flight import InFlight
from carboy.server.minimum_rate import MinimumRate
from carboy.server.responder import Responder
from carboy.server.settings import Settings
from carboy.server.shedding import Shedding
from carboy.server.switched import pass_on, send_gathered

log = logging.getLogger("carboy.error")
clock = time.monotonic

# Pieces of one body in one turn: 64 KiB of ordinary chunks, half a millisecond of tiny ones.
PIECES_A_TURN = 8
CHANNELS_A_TURN = 256  # that are looked at; then other connections have their turn
KNOWN = READ | WRITE | HANGUP


class Channels:
    """Serves the connections whose exchanges are answered later."""

    def __init__(
        self,
        settings: Settings,
        responder: Responder,
        in_flight: InFlight,
        closing: Closing,
        poller: Poller,
        waker: Waker,
    ) -> None:
        self.responder = responder
        self.high_water = settings.high_water
        self.settings = settings
        self._read_size = settings.read_size
        self._in_flight = in_flight
        self._closing = closing
        self._poller = poller
        self.secure = responder.scheme == "https"
        self.wake = waker.wake
        self.due: deque[Channel] = deque()  # channels that the leader has to look at
        self.opened: list[Channel] = []  # in this turn
        self.resumed: deque[ServerExchange] = deque()  # with continuations that are due
        self._all: dict[Channel, None] = {}
        self._stopping = False  # a graceful stop has begun
        self._untold: list[Channel] = []  # to whose receivers that has to be said
        self.led_by_loop = False  # the thread that sends is the one that leads
        # Whether the last turn has given work to more than one channel: then their bytes are
        # gathered (Channel._gather).
        self.together = False
        self.shedding: Shedding | None = None
        # Puts a continuation under the guard of time limits, if there are any (server/guard.py).
        self.guarded: Callable[[Callable[[Any], Answer]], Callable[[Any], Answer]] | None = None
        self._served_at = 0.0  # monotonic seconds: the turn that served a channel last
        # Called with an exchange whose response is complete, and the time.
        self.finished: Callable[[ServerExchange, float], None] = lambda exchange, now: None

    # --- from any thread

    def all(self) -> list[Channel]:
        """The channels that are open."""
        return list(self._all)

    def ask(self, channel: Channel) -> None:
        """Have the leader look at a channel. With its lock."""
        if not channel.asked:
            channel.asked = True
            self.due.append(channel)
            self.wake()

    # --- open

    def open(self, exchange: ServerExchange, now: float) -> None:
        """The application will answer later: make its channel, and begin to receive the body."""
        receiver = exchange.receiver
        if receiver is None:
            raise RuntimeError("An exchange without a receiver cannot be answered later.")
        connection = exchange.connection
        exchange.channel = channel = Channel(exchange, receiver, self)
        exchange.continuation = None  # it may have been what answers later now
        exchange.sending = channel.lock
        connection.exchange = exchange
        connection.enter(LATER, now)
        if self.secure:
            connection.sock = LeadersStream(connection.sock)
        self._all[channel] = None
        if self.shedding is not None and hasattr(receiver, "overdue"):
            self.shedding.opened(exchange)
        exchange.returned = False  # a thread that has run `handle` has given it back
        self._in_flight.begin(exchange)
        if exchange.body is None and connection.machine.reading is not Reading.DONE:
            channel.body_ended = False
            settings = self.settings
            channel.reading_rate = MinimumRate(
                now, settings.body_grace, settings.body_rate, settings.silence_timeout
            )
        self.opened.append(channel)
        connection.broken |= connection.taken  # it was answered meanwhile (server/time_limits.py)
        if connection.broken and hasattr(receiver, "accepted"):
            # A WebSocket whose client has gone: its handler has begun to count, and has to end.
            channel.begun = True
            receiver.begin(channel)
        whole = channel.body_ended and connection.unsent is None and not connection.broken
        if not whole or connection.interest != READ:
            self._look(channel, now)

    def begin(self) -> None:
        """At the end of a turn: give the channels that were opened in it to their receivers.

        All at once, so that the threads that use them are woken once.
        """
        self.together = len(self.opened) > 1 and not self.led_by_loop
        for channel in self.opened:
            if channel.open and not channel.begun:
                channel.begun = True
                try:
                    channel.receiver.begin(channel)
                except Exception as error:
                    channel.fail(error)
                if self._stopping:
                    _say_stopping(channel)
        self.opened.clear()

    def stop(self) -> None:
        """A graceful stop begins: say so to the receivers, soon or when they begin."""
        if not self._stopping:
            self._stopping = True
            self._untold = [channel for channel in self._all if channel.begun]
            self._say_stopping()

    def _say_stopping(self) -> None:
        """Say so to some of thousands, and to the others in the next ticks."""
        told = self._untold[-CHANNELS_A_TURN:]
        del self._untold[-CHANNELS_A_TURN:]
        for channel in told:
            _say_stopping(channel)

    # --- while it is open

    def look(self, now: float) -> None:
        """Look at the channels that are due, not all of thousands in one turn."""
        for _ in range(min(len(self.due), CHANNELS_A_TURN)):
            channel = self.due.popleft()
            channel.asked = False  # before the lock: what is done under it after this asks again
            if channel.open:
                self._look(channel, now)
            elif not channel.taken:
                if channel.news:
                    channel.tell()
                self._end(channel, now)

    def _look(self, channel: Channel, now: float) -> None:
        if channel.upgraded and send_gathered(self, channel):
            return
        error = None
        connection = channel.connection
        with channel.lock:
            if channel.open:
                try:
                    if (
                        not channel.body_ended
                        and (connection.machine.buffered or not channel.upgraded)
                        and self._wants_body(channel)
                    ):
                        self.take_events(channel)
                except RemoteProtocolError as found:
                    error = found
                self._send_kept(channel)
                self.watch_or_lose(channel, now)
        channel.tell()
        if error is not None:
            self.refuse(channel, error, now)
        elif not channel.open:
            self._end(channel, now)

    def serve(self, connection: Connection, flags: int, now: float) -> bool:
        """Serve a connection that is ready; returns whether its next request has come."""
        exchange = connection.exchange
        channel = None if exchange is None else exchange.channel
        if channel is None:
            return False
        self.together = now == self._served_at and not self.led_by_loop
        self._served_at = now
        if channel.upgraded and flags == READ and pass_on(self, channel):
            return False
        error = None
        with channel.lock:
            if channel.open:
                if flags & ~KNOWN:
                    connection.broken = True
                elif flags & READ or not channel.body_ended:
                    error = self._readable(channel)
                if flags & HANGUP and not channel.half_closed:
                    self._test_client(channel)
                self._send_kept(channel)
                self.watch_or_lose(channel, now)
        if channel.news:
            channel.tell()
        if error is not None:
            self.refuse(channel, error, now)
        elif not channel.open:
            self._end(channel, now)
        return connection.phase is IDLE and channel.exchange.continuation is None

    def _readable(self, channel: Channel) -> RemoteProtocolError | None:
        """Receive more of the body; after the body, nothing is received."""
        if channel.body_ended:
            channel.input_waits = True
            return None
        if not self._wants_body(channel):
            return None
        connection = channel.connection
        try:
            if self.secure:
                with self._stream_of(channel):
                    data = connection.sock.recv(self._read_size)
            else:
                data = connection.sock.recv(self._read_size)
        except BlockingIOError:
            return None
        except OSError:
            connection.broken = True
            return None
        if channel.upgraded and data and not connection.machine.buffered:
            # What take_events does with bytes that the machine does not change.
            channel.kept += data
            channel.received += len(data)
            channel.news = True
            return None
        try:
            self.take_events(channel, data)
        except RemoteProtocolError as error:
            return error
        return None

    def take_events(self, channel: Channel, data: bytes | None = None) -> None:
        """Keep the pieces of the body that the machine has, and those in `data`."""
        machine = channel.connection.machine
        before = channel.received
        event = machine.next_event() if data is None else machine.receive(data)
        pieces = 0
        while isinstance(event, Data):
            channel.kept += event.data
            channel.received += len(event.data)
            pieces += 1
            if pieces == PIECES_A_TURN and machine.buffered:
                self.due.append(channel)
                break
            event = machine.next_event()
        if event is Signal.END_OF_MESSAGE:
            channel.body_ended = True
            channel.complete_at = clock()
            channel.half_closed = channel.half_closed or channel.upgraded
        if channel.body_ended or channel.received > before:
            channel.news = True

    def _wants_body(self, channel: Channel) -> bool:
        return len(channel.kept) < self.high_water

    def _send_kept(self, channel: Channel) -> None:
        connection = channel.connection
        if (connection.unsent is not None or connection.file is not None) and not connection.broken:
            if self.secure:
                with self._stream_of(channel):
                    connection.flush(self.responder.sendfile)
            else:
                connection.flush(self.responder.sendfile)
            if channel.full and connection.unsent_bytes <= self.high_water // 2:
                channel.full = False
                channel.news = True

    def _test_client(self, channel: Channel) -> None:
        """The client has ended its side: find out whether it has gone."""
        channel.half_closed = True
        connection = channel.connection
        exchange = channel.exchange
        if not exchange.head_begun:
            with self._stream_of(channel):
                connection.broken = has_left(exchange)
        elif (
            connection.machine.writing is Writing.CHUNKED
            and not exchange.unsent_head
            and not connection.has_unsent
        ):
            with self._stream_of(channel):
                connection.push(ZERO)

    def watch_or_lose(self, channel: Channel, now: float) -> None:
        """Set what the poller watches; close the channel if its client has gone."""
        connection = channel.connection
        if connection.broken and channel.resumes:
            self._closing.watch(connection, 0)
            if not channel.gone:
                channel.gone = channel.exchange.client_left = True
                channel.news = True
            return
        if connection.broken:
            channel.lose()
            return
        body = not channel.body_ended
        receives = body and len(channel.kept) < self.high_water
        if body and not channel.upgraded:
            self._count_pause(channel, receives, now)
        if receives or (channel.body_ended and not (channel.input_waits or channel.half_closed)):
            flags = READ
        else:
            flags = RESET if channel.half_closed else HANGUP
        if connection.unsent is not None or connection.file is not None:
            flags = (flags | WRITE) & ~RESET
            if connection.minimum_rate is None and not channel.upgraded:
                connection.moved = 0
                settings = self.settings
                connection.minimum_rate = MinimumRate(
                    now, settings.write_grace, settings.write_rate, settings.silence_timeout
                )
        else:
            connection.minimum_rate = None
        if flags != connection.interest:
            self._closing.watch(connection, flags)

    def _count_pause(self, channel: Channel, receives: bool, now: float) -> None:
        """Leave out of the body's time the seconds in which the application did not read."""
        if not receives:
            channel.paused_at = channel.paused_at or now
        elif channel.paused_at:
            if channel.reading_rate is not None:
                channel.reading_rate.put_off(now - channel.paused_at)
            channel.paused_at = 0.0

    @contextmanager
    def _stream_of(self, channel: Channel) -> Iterator[None]:
        """The connection with its own stream, for the leader. With the lock."""
        connection = channel.connection
        hidden = connection.sock
        if not isinstance(hidden, LeadersStream):
            yield
            return
        connection.sock = hidden.stream
        try:
            yield
        finally:
            hidden.stream = connection.sock  # bytes may have been sent ahead, see disconnects.py
            connection.sock = hidden

    # --- closed

    def refuse(self, channel: Channel, error: RemoteProtocolError, now: float) -> None:
        """The client has broken a rule: say so if the response has not begun, and close."""
        connection, exchange = channel.connection, channel.exchange
        with channel.lock:
            if not channel.open:
                return
            channel.open = False
            channel.gone = True
            channel.news = True
        channel.tell()
        self._take(channel)
        if exchange.head_begun:
            self.responder.abandon(connection)
            self.responder.record(exchange, exchange.status, connection.body_sent)
            self._closing.close(connection)
        else:
            self._closing.refuse(connection, error, now)

    def refuse_slow(self, connection: Connection, error: RemoteProtocolError, now: float) -> None:
        """The client sends its body too slowly."""
        channel = None if connection.exchange is None else connection.exchange.channel
        if channel is not None:
            self.refuse(channel, error, now)

    def _end(self, channel: Channel, now: float) -> None:
        """The channel is closed: go on with its connection."""
        if channel.taken:
            return
        self._take(channel)
        exchange = channel.exchange
        connection = channel.connection
        if connection.unsent is not None:
            connection.flush(self.responder.sendfile)  # what was gathered, or another part of it
        if exchange.continuation is None:
            self.finished(exchange, now)
        else:
            exchange.arrived = exchange.arrived or exchange.began
            connection.phase = IDLE
            self.resumed.append(exchange)

    def release(self, channel: Channel) -> None:
        """The response of a channel has begun to last: let go of what it needed before.

        With the lock of the channel.
        """
        exchange, connection = channel.exchange, channel.connection
        self._in_flight.end(exchange)  # there are few places
        exchange.rule = rule_of(exchange)  # while it can be found
        exchange.scope = None
        exchange.cached_environ = connection.template = connection.repeated = None
        exchange.head.found = None

    def _take(self, channel: Channel) -> None:
        exchange, connection = channel.exchange, channel.connection
        channel.tell()
        channel.taken = True
        del channel.receiver  # it leads back to the channel
        if isinstance(connection.sock, LeadersStream):
            connection.sock = connection.sock.stream
        exchange.receiver = exchange.channel = None
        exchange.sending = None
        connection.exchange = None
        del self._all[channel]
        if self.shedding is not None:
            self.shedding.closed(exchange, clock())
        self._in_flight.end(exchange)

    def tick(self, now: float) -> None:
        """Once an interval: call what is due; look for clients that have gone, if need be.

        Clients are not looked for where the poller reports those that have gone.
        """
        self.responder.websockets.tick(now)
        if self._untold:
            self._say_stopping()
        if self._all or self.led_by_loop:
            worker_loop.look()
        if self._poller.reports_hangup:
            return
        for channel in list(self._all):
            with channel.lock:
                if channel.open:
                    with self._stream_of(channel):
                        if channel.exchange.head_begun:
                            has_disconnected(channel.connection)
                        else:
                            channel.connection.broken = has_left(channel.exchange)
            self._look(channel, now)

    def close_all(self) -> None:
        """The engine has ended: no channel can be used. For the thread that ends the engine."""
        for channel in list(self._all):
            with channel.lock:
                if channel.open:
                    if channel.exchange.head_begun:
                        channel.record()
                    channel.open = False
                    channel.gone = True
                    channel.news = True
            channel.tell()
            self._take(channel)


def _say_stopping(channel: Channel) -> None:
    stopping = getattr(channel.receiver, "stopping", None) if channel.open else None
    if stopping is not None:
        try:
            stopping()
        except Exception as error:
            channel.fail(error)
