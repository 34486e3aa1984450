"""The engine of a worker: what is ready is read, answered and finished, by whoever leads.

Reading top to bottom: the API, the leader's turn, reading, dispatching, giving back,
ending. Only the leader runs code of this file, but for `run`, `_serve`, `stop` and
`_run_away`.

It is longer than the house allows because a leader's turn reads in one place; what is not
on every request's way has left (accepting, door, reception, closing, crew, deadlines).
"""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context

from carboy.gateway.interface import Gateway
from carboy.net.poller import READ, WRITE, make_poller
from carboy.net.stream import WantsWrite
from carboy.net.waker import Waker
from carboy.protocol.errors import RemoteProtocolError
from carboy.protocol.events import Data, Event, RequestHead, Signal
from carboy.protocol.states import Reading
from carboy.server import after_fork, monkey_patching
from carboy.server.accepting import NONE, Accepting
from carboy.server.answer import Access, Answering
from carboy.server.balancing import BUSY
from carboy.server.body_reader import AfterHead, BodyReader
from carboy.server.closing import Closing
from carboy.server.connection import (
    BODY,
    CLOSED,
    HEAD,
    IDLE,
    LINGER,
    RUNNING,
    STREAMING,
    WRITING,
    Connection,
)
from carboy.server.crew import Crew, Lead
from carboy.server.deadlines import Deadlines
from carboy.server.dispatch_times import DispatchTimes, since, usage
from carboy.server.exchange import ServerExchange
from carboy.server.in_flight import InFlight
from carboy.server.listening import ListenerPolicy, Listeners, Wrap
from carboy.server.queueing import HELD
from carboy.server.request_body import BodyStream
from carboy.server.scheduling import Scheduler
from carboy.server.scoreboard import Figure, Row, private_row
from carboy.server.settings import Settings
from carboy.server.stopping import HURRY, STUCK, Stopping
from carboy.server.streams import Streams
from carboy.server.switch_interval import switch_interval

log = logging.getLogger("carboy.error")
clock = time.monotonic
NEED_DATA = Signal.NEED_DATA
_new_exchange = ServerExchange.__new__
UNREAD = Reading.IDLE
READ_WHOLE = Reading.DONE
# Pieces of one body in one turn: 64 KiB of ordinary chunks, half a millisecond of tiny ones.
STEPS = 8
RECEIVING = (IDLE, HEAD, BODY)
# A gateway looks at its application once a turn; with more events than FEW, which come from
# clients that do not know of each other, no sooner than GLANCE seconds after the last time.
FEW, GLANCE = 8, 0.005


class Deposed(BaseException):
    """This thread leads no more; what it ran is given back already.

    No Exception, so that nobody on its way takes it for a fault.
    """


class Engine:
    """Serves `gateway` on `listeners` until stopped.

    `access` gets one record for each request answered or refused (server/logs/access_log.py).
    `processes` tells applications that other processes serve them too; `wrap` makes TLS
    streams of the sockets that are accepted; `row` has the figures that other processes read,
    `shown` the requests that run.
    """

    def __init__(
        self,
        gateway: Gateway,
        listeners: Sequence[socket.socket],
        settings: Settings,
        access: Access | None = None,
        processes: bool = False,
        wrap: Wrap | None = None,
        row: Row | None = None,
        shown: InFlight | None = None,
    ) -> None:
        self.settings = settings
        self.row = row or private_row()
        self.shown = shown or InFlight()
        self._show = self.shown.read
        self._memory = self.shown.memory
        self.answering = Answering(settings, access, processes, secure=wrap is not None)
        self.answering.like_werkzeug = getattr(gateway, "like_werkzeug", False)
        self.dispatch_times = DispatchTimes(settings.inline_budget, settings.learned_keys)
        self.connections: dict[int, Connection] = {}
        self.poller = make_poller(settings.poller)
        self.crew = Crew(settings.threads, settings.watch_interval, self._lead, self._run_away)
        self.listeners = Listeners(listeners, self.poller, settings, wrap)
        self.deadlines = Deadlines(settings)
        self._closing = Closing(
            settings, self.connections, self.poller, self.listeners, self.answering, self.row
        )
        self.streams = Streams(settings, self.crew, self._closing.watch)
        self.scheduler = Scheduler(
            settings, self.crew, self.streams, self.dispatch_times, self.answering
        )
        self.scheduler.finished = self._answered
        self.crew.deposed = self._deposed
        self._queue = self.scheduler.queue
        self._here = self._queue.here
        self.accepting = Accepting(settings, self.connections, self.poller, self.row)
        self.accepting.use(self.listeners, self.deadlines, self._closing)
        self._body_reader = BodyReader(settings, gateway, self._closing)
        self.answering.before_waiting = self._before_waiting
        self._gateway = gateway
        self._prepare = gateway.prepare
        self._handle = gateway.handle
        self._gateway_turn: Callable[[], None] | None = getattr(gateway, "turn", None)
        self._averages = self.dispatch_times.averages
        # With one thread nothing is ever placed elsewhere.
        self._budget = math.inf if self.crew.alone else settings.inline_budget
        self._worth = self.dispatch_times.worth
        self._read_size = settings.read_size
        self._cells = self.row.cells
        self._alone = self.crew.alone
        self._waker = Waker()
        self._given_back: deque[ServerExchange] = deque()
        self._behind: deque[Connection] = deque()  # more was received from them than a turn takes
        self._next_tick = 0.0
        self._next_look = 0.0
        self._failure: BaseException | None = None
        self.stopping = Stopping(settings, self.connections, self._waker)
        self.stopping.use(self.crew, self.listeners, self.accepting, self._closing, self.answering)
        self._led = threading.Event()  # nobody leads any more

    # --- the API

    def run(self) -> None:
        """Serve; returns when stopped. The calling thread only waits, so signals reach it."""
        if package := monkey_patching.replaced_by():
            raise RuntimeError(monkey_patching.advice(package))
        with switch_interval(self.settings.switch_interval):
            self._serve()
        if self._failure is not None:
            raise self._failure

    def _serve(self) -> None:
        self.poller.add(self._waker.fileno(), READ)
        self.accepting.open(clock())
        self.row.cells[Figure.SERVING] = 1.0
        after_fork.watch(self)
        try:
            self.crew.start()
            self.stopping.wait_for_the_end()
        except BaseException:
            self.stop(graceful=False)  # raised by another thread or a signal handler
            raise
        finally:
            self._led.wait(STUCK)
            self.crew.stop()
            self._close_all()
            after_fork.forget(self)

    def stop(self, graceful: bool = True, listeners: ListenerPolicy = ListenerPolicy.KEEP) -> None:
        """Stop serving; from any thread or a signal handler.

        Graceful: nothing new is accepted, what runs may finish within `graceful_timeout`, and
        idle connections may ask once more within `idle_grace`. `listeners`: what becomes of them.
        """
        self.row.cells[Figure.SERVING] = 0.0
        if not graceful:
            self.stopping.finish()
        self.stopping.ask(listeners)

    def in_flight(self) -> list[tuple[str, float]]:
        """Request line and seconds of everything that runs or waits for a thread."""
        return self.stopping.in_flight()

    def _running(self) -> list[tuple[str, float]]:
        """Request line and seconds of everything that has a thread."""
        waiting = set(map(id, self._queue))
        return self.stopping.in_flight(waiting)

    def nudge(self) -> None:
        """Have the leader write a sign of life, if it can; from any thread."""
        if not self.stopping.over:
            self._waker.wake()

    # --- the leader's turns

    def _lead(self, lead: Lead) -> None:
        try:
            stopping = self.stopping
            self._cells[BUSY] = self.scheduler.busy()  # one more, if another leader was deposed
            while not stopping.over:
                self._turn(lead)
        except Deposed:
            return
        except (SystemExit, KeyboardInterrupt) as error:
            # Raised by another thread, which ends all those of a server it cannot stop otherwise.
            self._failure = error
            self.stopping.finish()
        except BaseException as error:
            # A fault of ours, not of an application: better end than serve half.
            log.critical("The engine failed.", exc_info=error)
            self._failure = error
            self.stopping.finish()
        # Closed by the last leader, since only a leader uses it; run() waits for that.
        self.poller.close()
        self._led.set()
        self._let_go()

    def _turn(self, lead: Lead) -> None:
        """Wait until something is ready and serve it."""
        events = self.poller.wait(0.0 if self._behind or self._here else self._patience())
        now = clock()
        if now >= self._next_tick:
            self._tick(now)
        if self._gateway_turn is not None and (len(events) < FEW or now > self._next_look):
            self._next_look = now + GLANCE
            self._gateway_turn()
            self._handle = self._gateway.handle
        connections = self.connections
        if self._alone:
            self._cells[BUSY] = 1.0  # for other workers: nothing else is run or accepted meanwhile
        for fd, flags in events:
            connection = connections.get(fd)
            if connection is None:
                self._other(lead, fd, now)
            elif connection.phase is IDLE:
                self._read(lead, connection)
            else:
                self._continue(lead, connection, flags, now)
        if self._behind:
            self._go_on(lead)
        if self._queue.count:
            self._run_waiting(lead, clock())
        if self._alone:
            self.accepting.served()
        if self.accepting.due:
            self.accepting.take(clock())
        if self.listeners.held:
            self.accepting.look(clock())

    def _patience(self) -> float:
        """Seconds to the next look at the clock; for ever when nothing can run out."""
        if self.listeners.held:
            return self.accepting.patience()
        if self.stopping.asked is not None:
            return min(HURRY, self.deadlines.interval)
        if self._queue.count:
            return HELD
        if self.connections or self.accepting.bell != NONE:
            return self.deadlines.interval
        return -1.0

    def _tick(self, now: float) -> None:
        """Once an interval: the Date line, and everything that ran out of time."""
        stops = self.stopping.asked is not None
        self._next_tick = now + (HURRY if stops else self.deadlines.interval)
        self.answering.extra.refresh(time.time())
        for connection, error in self.deadlines.exceeded(self.connections.values(), now):
            if error is None:
                # Not an idle one whose next request has come in this very turn.
                if connection.phase is not IDLE or connection.is_quiet():
                    self._closing.close(connection)
            else:
                self._closing.refuse(connection, error, now)
        self.streams.look(now)
        self.accepting.tick()
        self.crew.start_watcher()
        self.scheduler.tick(now, self._running)
        # Not as soon as it was asked for: until the door is closed clients still come in.
        if self.answering.stopping:
            self.stopping.tick(now)

    def _other(self, lead: Lead, fd: int, now: float) -> None:
        """A listener or the waker; or a connection closed earlier in this very turn."""
        if fd == self._waker.fileno():
            self._waker.clear()
            self.row.cells[Figure.LEADER] = now
            self._take_back()
            if self.stopping.asked is not None:
                self._next_tick = now + HURRY
                self.stopping.begin(now)
                self.accepting.hand_on(now)
        elif fd in self.listeners.sockets:
            self.accepting.due.append(fd)
        elif fd == self.accepting.bell:
            self.accepting.rung(now)

    # --- reading

    def _read(self, lead: Lead, connection: Connection, partial: bool = False) -> None:
        """The path of nearly every request: octets in, and the answer out.

        `partial`: the beginning of the head has been read before.
        """
        try:
            data = connection.sock.recv(self._read_size)
            self._show(self._memory, 0, data)
        except BlockingIOError as blocked:
            waits = WRITE if isinstance(blocked, WantsWrite) else READ
            self._closing.watch(connection, waits)
            return
        except OSError:
            self._closing.close(connection)
            return
        try:
            event = connection.machine.receive(data)
        except RemoteProtocolError as error:
            self._closing.refuse(connection, error, clock())
            return
        except Exception as error:
            self._closing.fault(connection, error)
            return
        # READ_WHOLE is where the machine stands after a request without a body.
        if connection.machine.reading is not READ_WHOLE or event.__class__ is not RequestHead:
            just_read = event.__class__ is RequestHead and not partial
            self._progress(lead, connection, event, just_read)
            return
        # What _begin does, without its calls: this is nearly every request.
        exchange = _new_exchange(ServerExchange)
        exchange.head = event
        exchange.connection = connection
        exchange.answering = self.answering
        exchange.body = exchange.cached_environ = None  # quicker to read than from the class
        exchange.context = context = Context()
        try:
            exchange.key = context.run(self._prepare, exchange)
        except BaseException as error:
            self._closing.fail_early(connection, exchange, error)
            return
        if partial:
            self.shown.leader_runs(exchange)
        connection.phase = IDLE
        self._dispatch(lead, exchange)

    def _progress(
        self,
        lead: Lead,
        connection: Connection,
        event: Event | None = None,
        just_read: bool = False,
    ) -> None:
        """Events up to the next that needs octets, or a complete request; STEPS at most.

        `just_read`: the head of this request is what the leader read last.
        """
        machine = connection.machine
        steps = 0
        try:
            if event is None:
                event = machine.next_event()
            while event is not NEED_DATA:
                if isinstance(event, RequestHead):
                    self._begin(lead, connection, event, just_read)
                    return
                if isinstance(event, Data):
                    self._body_reader.take(connection, event.octets)
                    steps += 1
                    if steps == STEPS and machine.buffered:
                        self._fall_behind(connection)
                        return
                elif event is Signal.END_OF_MESSAGE:
                    exchange = self._body_reader.end(connection)
                    if not just_read:
                        self.shown.leader_runs(exchange)
                    self._dispatch(lead, exchange)
                    return
                else:
                    self._closing.close(connection)
                    return
                event = machine.next_event()
        except RemoteProtocolError as error:
            self._closing.refuse(connection, error, clock())
            return
        except Exception as error:
            self._closing.fault(connection, error)
            return
        if connection.phase is IDLE and machine.buffered:
            connection.enter(HEAD, clock())

    def _continue(self, lead: Lead, connection: Connection, flags: int, now: float) -> None:
        """Readiness in every phase but IDLE."""
        phase = connection.phase
        if phase is HEAD or phase is BODY:
            if connection.behind:
                self._closing.watch(connection, 0)  # what was received comes first
            else:
                self._read(lead, connection, phase is BODY or not connection.is_silent())
        elif phase is WRITING:
            self._write(connection, now)
        elif phase is STREAMING:
            self._stream(lead, connection)
        elif phase is RUNNING:
            # The client sends more, or is gone: not before its answer is finished. Watching for
            # nothing is not enough, as the kernel reports a hang-up regardless.
            if not (flags & WRITE and self.streams.send(connection, self.answering.sendfile)):
                self._closing.watch(connection, 0)
        elif phase is LINGER:
            self._closing.drain(connection)

    # --- dispatching

    def _begin(
        self, lead: Lead, connection: Connection, head: RequestHead, just_read: bool
    ) -> None:
        exchange = ServerExchange(head, connection, self.answering)
        if not (just_read or head.has_body):
            self.shown.leader_runs(exchange)
        try:
            exchange.key = exchange.context.run(self._prepare, exchange)
        except BaseException as error:
            self._closing.fail_early(connection, exchange, error)
            return
        if head.content_length or head.chunked:
            after_head = self._body_reader.begin(exchange)
            if after_head is AfterHead.STREAM:
                self._dispatch(lead, exchange, slow=True)
            elif after_head is AfterHead.RECEIVE:
                self._progress(lead, connection, None, just_read)
            return
        connection.phase = IDLE
        self._dispatch(lead, exchange)

    def _dispatch(self, lead: Lead, exchange: ServerExchange, slow: bool = False) -> None:
        """Run the exchange here, unless the scheduler has another place for it."""
        key = exchange.key
        average = self._averages.get(key)
        crew = self.crew
        exchange.began = began = clock()
        if (
            (average is None or average > self._budget or slow)
            and not exchange.asked  # it has waited, and this is its place
            and self._placed(exchange, average, slow)
        ):
            return
        slot = lead.slot
        slot.append(exchange)
        if crew.asleep:
            crew.ring()
        connection = exchange.connection
        machine = connection.machine
        answering = self.answering
        whole = False
        try:
            status, headers, body, close = answer = exchange.context.run(self._handle, exchange)
            if close is None and body.__class__ is bytes and answering.plain:
                # What Answering.deliver does for nearly every answer, without its calls.
                whole = connection.push(
                    machine.whole_response(status, headers, body, answering.extra.lines)
                )
            else:
                exchange.context.run(answering.deliver, exchange, answer)
        except BaseException as error:
            exchange.context.run(answering.fail, exchange, error)
        now = clock()
        try:
            slot.pop()
        except IndexError:
            self._return(exchange, now - began)
            raise Deposed from None
        if average != 0.0 or now - began > self._worth:
            self.scheduler.ran_here(exchange, now - began)
        # UNREAD is where the machine stands when nothing is left over and it may go on.
        if (
            whole
            and machine.reading is UNREAD
            and exchange.body is None
            and not machine.excess
            and connection.interest == READ  # not after it has waited
        ):
            connection.since = now
            exchange.cached_environ = None  # each would keep the other alive
        else:
            self._answered(exchange, now)

    def _placed(self, exchange: ServerExchange, average: float | None, slow: bool) -> bool:
        """Whether the scheduler has another place than this one, now, for the exchange."""
        placed = self.scheduler.place(exchange, average, exchange.began, slow)
        if placed:
            self._cells[BUSY] = self.crew.away + self._queue.count
        return placed

    def _run_waiting(self, lead: Lead, now: float) -> None:
        """One request that has waited for the leader; others are let in after it."""
        # A handler may have returned its generator meanwhile, which is counted apart.
        if now >= min(self._queue.due(), self._queue.relieved + HELD):
            self.scheduler.start_waiting(now)
        self._cells[BUSY] = self.scheduler.busy()
        exchange = self.scheduler.next_here(now)
        if exchange is not None:
            self._dispatch(lead, exchange)
        self._cells[BUSY] = self.scheduler.busy()

    def _before_waiting(self, exchange: ServerExchange) -> None:
        """This thread is going to wait for a slow reader: it must not be the leader."""
        lead = self.crew.present
        if not self.crew.alone and lead.slot[:1] == [exchange]:
            self.crew.depose(lead)

    def _run_away(self, exchange: ServerExchange) -> None:
        """Run the exchange on a thread that does not lead, and give it back."""
        began = clock()
        exchange.returned = False
        self.shown.begin(exchange)
        run = exchange.context.run
        if exchange.rest is not None:
            run(self.answering.go_on, exchange)
            self._return(exchange, clock() - began)
            return
        exchange.began = began
        if exchange.measured:
            exchange.usage = usage()
        try:
            answer = run(self._handle, exchange)
        except BaseException as error:
            run(self.answering.fail, exchange, error)
        else:
            run(self.answering.deliver, exchange, answer)
        self._return(exchange, clock() - began)

    def _deposed(self, exchange: ServerExchange, seconds: float) -> None:
        self.shown.begin(exchange)
        self.scheduler.deposed(exchange, seconds)

    def _return(self, exchange: ServerExchange, seconds: float) -> None:
        exchange.seconds = seconds
        if exchange.usage is not None:
            exchange.used = since(exchange.usage)
            exchange.usage = None
        exchange.returned = True
        self.shown.end(exchange)
        self.crew.leave_token()
        self._given_back.append(exchange)
        self._waker.wake()
        if self._led.is_set():
            self._let_go()

    def _let_go(self) -> None:
        """Nobody leads any more: what is given back now is only closed."""
        while self._given_back:
            try:
                exchange = self._given_back.popleft()
            except IndexError:
                return  # another thread was quicker
            self._abandon(exchange)
            exchange.connection.sock.close()

    def _abandon(self, exchange: ServerExchange) -> None:
        """The end came first: close what the application has open for `exchange`."""
        if exchange.rest is not None:
            exchange.connection.cut()
            exchange.context.run(self.answering.go_on, exchange)
        self._close_body(exchange)

    def _take_back(self) -> None:
        """What other threads have finished is the leader's again."""
        given_back = self._given_back
        while given_back:
            exchange = given_back.popleft()
            now = clock()
            self.scheduler.given_back(exchange, now)
            if self._queue.count:
                self.scheduler.start_waiting(now)
            self._answered(exchange, now)
        self._cells[BUSY] = self.scheduler.busy()

    # --- after the answer

    def _answered(self, exchange: ServerExchange, now: float) -> None:
        """The application is done with the connection: finish, go on, or close."""
        connection = exchange.connection
        machine = connection.machine
        if exchange.rest is not None:
            connection.exchange = exchange
            exchange.resumed = now
            connection.enter(STREAMING, now)
            self._closing.watch(connection, WRITE)
            return
        exchange.cached_environ = None  # each would keep the other alive
        connection.exchange = None
        if machine.short or machine.excess:
            self.answering.complain(exchange)
        if exchange.body is not None:
            self._close_body(exchange)
        if connection.phase is CLOSED or connection.broken:
            self._closing.close(connection)
        elif connection.out is not None or connection.file is not None:
            connection.enter(WRITING, now)
            self._closing.watch(connection, WRITE)
        else:
            self._next(connection, now)

    def _close_body(self, exchange: ServerExchange) -> None:
        body = exchange.body
        if isinstance(body, BodyStream):
            exchange.connection.unread = not body.ended
        if body is not None:
            body.close()

    def _next(self, connection: Connection, now: float) -> None:
        """The answer is out: the next request, or the end."""
        machine = connection.machine
        if machine.must_close:
            self._closing.end(connection, now)
            return
        connection.phase = IDLE
        connection.since = now
        if machine.buffered:
            connection.phase = HEAD
            self._fall_behind(connection)
        elif connection.interest != READ:
            self._closing.watch(connection, READ)

    def _fall_behind(self, connection: Connection) -> None:
        """Go on with what was received in the next turn.

        Thousands of requests or chunks fit into one read, and all other connections would wait
        for them. Nor is more received meanwhile, or it would have to be kept.
        """
        connection.behind = True
        self._behind.append(connection)

    def _go_on(self, lead: Lead) -> None:
        """One more request of every connection that is behind, or a part of its body."""
        for _ in range(len(self._behind)):
            connection = self._behind.popleft()
            connection.behind = False
            if connection.phase is HEAD or connection.phase is BODY:
                self._progress(lead, connection)
                self._caught_up(connection)

    def _caught_up(self, connection: Connection) -> None:
        """Receive again, unless it is behind still or has something else to do."""
        if connection.behind:
            return
        if connection.phase is HEAD and connection.is_silent():
            connection.phase = IDLE  # what was left was an empty line
        if connection.phase in RECEIVING and connection.interest != READ:
            self._closing.watch(connection, READ)

    def _write(self, connection: Connection, now: float) -> None:
        if connection.flush(self.answering.sendfile):
            if connection.broken:
                self._closing.close(connection)
            else:
                self._next(connection, now)

    def _stream(self, lead: Lead, connection: Connection) -> None:
        """The client has taken some of an answer in pieces, or has gone: go on with it."""
        exchange = connection.exchange
        taken = connection.flush(self.answering.sendfile)
        if exchange is None or not (taken or connection.pending <= self.streams.low_water):
            return
        if self.crew.alone or not (
            exchange.deposed
            or exchange.slow_pieces
            or isinstance(exchange.body, BodyStream)
            or self._averages.get(exchange.key, 0.0) > self._budget
        ):
            self._stream_here(lead, exchange)
        else:
            connection.enter(RUNNING, clock())
            self._closing.watch(connection, 0)
            if not self.streams.submit(exchange):
                self._stream_here(lead, exchange)

    def _stream_here(self, lead: Lead, exchange: ServerExchange) -> None:
        """As `_dispatch` runs an exchange on this thread."""
        exchange.connection.exchange = None  # the slot has it
        slot = lead.slot
        slot.append(exchange)
        if self.crew.asleep:
            self.crew.ring()
        exchange.leave_thread = False
        exchange.resumed = began = clock()
        exchange.context.run(self.answering.go_on, exchange)
        now = clock()
        exchange.slow_pieces = now - began > self._budget
        try:
            slot.pop()
        except IndexError:
            self._return(exchange, now - began)
            raise Deposed from None
        self._answered(exchange, now)

    # --- ending

    def _close_all(self) -> None:
        """The end: whatever is left is cut."""
        self.stopping.over = True
        for exchange in [*self._queue, *self.streams.waiting()]:
            self._abandon(exchange)
            exchange.connection.phase = IDLE  # no thread has it
        for connection in list(self.connections.values()):
            connection.cut()
            if connection.phase is STREAMING and connection.exchange is not None:
                self._abandon(connection.exchange)
            if connection.phase is not RUNNING:
                connection.forget_file()
                connection.sock.close()
            if connection.received is not None:
                connection.received.close()
        self.connections.clear()
        self.listeners.forget_taken()
        self._waker.close()
        self.stopping.close()
