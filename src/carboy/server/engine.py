"""The engine of a worker: its leader reads requests and has them answered.

The leader's turn and reading run on the leader's thread; `run` and `_serve` run on the thread that
called `run`; any thread may call `stop`, `in_flight` and `nudge`. What each thread may touch is in
server/crew.py. Requests continue in server/dispatching.py.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextvars import Context

from carboy.gateway.interface import Gateway
from carboy.net.poller import READ, WRITE, make_poller
from carboy.net.stream import WantsWrite
from carboy.net.waker import Waker
from carboy.protocol.errors import RemoteProtocolError
from carboy.protocol.events import Data, Event, RequestHead, Signal
from carboy.protocol.states import Reading
from carboy.server import after_fork, monkey_patching, turn
from carboy.server.accepting import NONE, Accepting
from carboy.server.balancing import BUSY
from carboy.server.body_reader import READY, RECEIVE, STREAM, BodyReader
from carboy.server.channels import PIECES_A_TURN, Channels
from carboy.server.closing import Closing
from carboy.server.compressing import Access, responder_for
from carboy.server.connection import (
    BODY,
    HEAD,
    IDLE,
    LATER,
    LINGER,
    PIPE,
    RUNNING,
    STREAMING,
    WRITING,
    Connection,
)
from carboy.server.crew import Crew, Deposed, Lead, traced
from carboy.server.deadlines import Deadlines
from carboy.server.dispatch_times import DispatchTimes
from carboy.server.dispatching import Dispatcher, Seen
from carboy.server.exchange import ServerExchange
from carboy.server.http2.connections import with_streams
from carboy.server.http2.setup import pipes_of
from carboy.server.in_flight import InFlight
from carboy.server.keep_alive import KeepAlive
from carboy.server.listening import ListenerPolicy, Listeners, Wrap
from carboy.server.loop_lead import LoopLead
from carboy.server.queueing import HELD
from carboy.server.runner import Runner
from carboy.server.scheduling import Scheduler
from carboy.server.scoreboard import Figure, Row, private_row
from carboy.server.settings import Settings
from carboy.server.stopping import STUCK, Stopping
from carboy.server.streams import Streams
from carboy.server.switch_interval import switch_interval
from carboy.server.time_limits import TimeLimits
from carboy.server.tracing import LateTracing

log = logging.getLogger("carboy.error")
clock = time.monotonic
NEED_DATA = Signal.NEED_DATA
_new_exchange = ServerExchange.__new__
REQUEST_READ = Reading.DONE  # where the machine is after a request without a body
CONTINUATIONS_A_TURN = 32  # of requests that were awaited; then others have their turn
# A gateway checks its application once a turn; with more events than FEW_EVENTS, which come from
# independent clients, only LOOK_INTERVAL seconds after the last check.
FEW_EVENTS, LOOK_INTERVAL = 8, 0.005


class Engine:
    """Serves `gateway` on `listeners` until stopped.

    `access` gets one record for each request that is answered or refused (AccessRecord).
    `processes`: other processes serve the application too; `wrap` makes TLS streams of sockets;
    `row` has the figures that other processes read, `shown` the running requests. `trace` is
    called on a thread before a turn (`Engine._turn`) or a request in the crew (`Runner.run`).
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
        trace: Callable[[], object] | None = None,
    ) -> None:
        self.settings = settings
        self.row = row or private_row()
        self.shown = shown or InFlight()
        self.connections: dict[int, Connection] = {}
        self.poller = make_poller(settings.poller)
        self._waker = Waker()
        self._failure: BaseException | None = None
        self._next_tick = self._next_look = 0.0
        # What the engine is made of; each part is described in the file that is named after it.
        self.responder = responder_for(settings, access, processes, wrap is not None)
        self.responder.like_werkzeug = getattr(gateway, "like_werkzeug", False)
        self.listeners = Listeners(listeners, self.poller, settings, wrap)
        self.deadlines = Deadlines(settings)
        self.dispatch_times = DispatchTimes(settings.inline_budget, settings.learned_keys)
        self._closing = Closing(
            settings, self.connections, self.poller, self.listeners, self.responder, self.row
        )
        self._keep_alive = KeepAlive(self.responder, self._closing)
        self.accepting = Accepting(
            settings, self.connections, self.poller, self.row, self.listeners, self.deadlines,
            self._closing,
        )  # fmt: skip
        self._body_reader = BodyReader(settings, gateway, self._closing)
        self._use_threads(gateway, trace)
        self.pipes = pipes_of(self, gateway, self._closing, self._begin, self._serve_by_phase)
        self.stopping = Stopping(
            settings, self.connections, self._waker, self.crew, self.accepting, self._closing,
            self.responder,
        )  # fmt: skip
        # A trace follows a request from thread to thread.
        self._loop_lead = None if trace else LoopLead.of(gateway, self, self.crew, self._waker)
        if self._loop_lead is not None:
            self.channels.led_by_loop = True
            self.dispatcher.keep_all()
        self.limits = TimeLimits(self)
        self.use(self.limits.guard(gateway))
        self._parts = (
            self.streams, self.channels, self.pipes, self.accepting, self.limits,
            LateTracing(self, settings.observing),
        )  # fmt: skip

    def _use_threads(self, gateway: Gateway, trace: Callable[[], object] | None) -> None:
        settings, responder, times = self.settings, self.responder, self.dispatch_times
        self.crew = crew = Crew(settings.threads, settings.watch_interval, self._lead)
        self.runner = runner = Runner(gateway, responder, crew, self.shown, self._waker)
        self.streams = Streams(settings, runner, times, self._closing.watch)
        self.scheduler = Scheduler(settings, crew, self.streams, times, responder)
        self.channels = Channels(
            settings, responder, self.shown, self._closing, self.poller, self._waker
        )
        self._keep_alive.open_channel = self.channels.open
        self.streams.resumed = self.scheduler.finished = self._keep_alive.finish
        self.channels.finished = self._keep_alive.finish
        self.dispatcher = Dispatcher(settings, runner, self.scheduler, self._keep_alive, self.row)
        crew.run = traced(runner.run, trace)
        self._traced_turn = traced(self._turn, trace)

    def use(self, gateway: Gateway) -> None:
        """Store what each turn or request uses in attributes that are quick to read."""
        self._gateway = self.runner.gateway = gateway
        self.dispatcher.handle = gateway.handle
        self._prepare, self._single_threaded = gateway.prepare, self.crew.single_threaded
        self._gateway_turn: Callable[[], None] | None = getattr(gateway, "turn", None)
        self._read_size, self._cells = self.settings.read_size, self.row.cells
        self._queue = self.scheduler.queue
        self._for_leader, self._deferred = self._queue.for_leader, self._keep_alive.deferred
        self._due, self._opened = self.channels.due, self.channels.opened
        self._resumed = self.channels.resumed
        self._twin, self._read_ordinary, self._dispatch, self._read_steps = turn.steps_of(self)
        self._ready, self._made = self.dispatcher.ready, self.dispatcher.made
        self._body_reader.ready = self._ready
        self._left = (
            self._ready, self._deferred, self._for_leader, self._due, self._resumed, self._opened,
            self.pipes.queue, self.pipes.dirty,
        )  # fmt: skip

    # --- starting and stopping

    def run(self, started: Callable[[], object] = lambda: None) -> None:
        """Serve until stopped; call `started` first. The calling thread only waits for signals."""
        monkey_patching.refuse()
        with switch_interval(self.settings.switch_interval):
            self._serve(started)
        if self._failure is not None:
            raise self._failure

    def _serve(self, started: Callable[[], object]) -> None:
        self.poller.add(self._waker.fileno(), READ)
        self.row.cells[Figure.SERVING] = 1.0
        after_fork.watch(self)
        try:
            (self._loop_lead or self.crew).start()
            self.limits.start()
            started()
            self.accepting.may_open = True
            self._waker.wake()
            self.stopping.wait_for_the_end()
        except BaseException:
            self.stop(graceful=False)  # raised by another thread or a signal handler
            raise
        finally:
            if self._loop_lead is not None:
                self._loop_lead.stop()
            self.runner.leaderless.wait(STUCK)
            self.crew.stop()
            self.stopping.over = True
            self.limits.stop()
            self.channels.close_all()
            self.runner.abandon_all([*self._queue, *self.streams.waiting()], self.connections)
            self.listeners.close_drained()
            self._waker.close()
            self.stopping.close()
            self.responder.handlers.wait(self.stopping.seconds_left())
            after_fork.forget(self)

    def stop(self, graceful: bool = True, listeners: ListenerPolicy = ListenerPolicy.KEEP) -> None:
        """Stop serving; from any thread or a signal handler.

        Graceful: nothing new is accepted, running requests may finish within `graceful_timeout`,
        and idle connections may send one more request within `idle_grace`.
        """
        self.row.cells[Figure.SERVING] = 0.0
        if not graceful:
            self.stopping.finish()
        self.stopping.ask(listeners)

    def in_flight(self) -> list[tuple[str, float]]:
        """Request line and seconds of everything that runs or waits for a thread."""
        return self.stopping.in_flight()

    def nudge(self) -> None:
        """Have the leader write a sign of life if it can; from any thread."""
        if not self.stopping.over:
            self._waker.wake()

    # --- the leader's turns

    def _lead(self, lead: Lead) -> None:
        """Lead on a thread of the crew, until deposed or stopped."""
        if not self.turns(lead):
            self.end()

    def turns(self, lead: Lead) -> bool:
        """Make turns, one or as many as `lead` says; returns whether the engine goes on."""
        try:
            stopping = self.stopping
            make_turn = self._traced_turn
            self._cells[BUSY] = self.scheduler.busy()  # one more, if another leader was deposed
            while not stopping.over:
                make_turn(lead)
                if lead.one_turn:
                    return not stopping.over
        except Deposed:
            lead.lost = True
            return True
        except BaseException as error:
            if not isinstance(error, (SystemExit, KeyboardInterrupt)):  # from another thread
                log.critical("The engine failed.", exc_info=error)
            self._failure = error
            self.stopping.finish()
        return False

    def end(self) -> None:
        """After the last turn of any leader. `run` waits for this, since only a leader polls."""
        self.dispatcher.send_left()
        self.poller.close()
        self._body_reader.close()
        self.runner.leaderless.set()
        self.runner.close_late()

    def _turn(self, lead: Lead) -> None:
        """Wait until something is ready and serve it."""
        ready = self._ready
        if self._twin is not turn.compiled:
            self._twin, self._read_ordinary, self._dispatch, self._read_steps = turn.steps_of(self)
        if ready or self._made:
            self.dispatcher.go_on(lead, self._dispatch)
        events = self.poller.wait(0.0 if lead.one_turn else self.patience())
        now = clock()
        if now >= self._next_tick:
            self._tick(now)
        if self._gateway_turn is not None and (len(events) < FEW_EVENTS or now > self._next_look):
            self._next_look = now + LOOK_INTERVAL
            self._gateway_turn()
            self.dispatcher.handle = self._gateway.handle
        if self._single_threaded:
            self._cells[BUSY] = 1.0  # for other workers: nothing else is run or accepted meanwhile
        if self._read_steps.read_idle is not None:
            events = self._read_steps.read_idle(lead, events)
        own = []
        for fd, flags in events:
            connection = self.connections.get(fd)
            if connection is None:
                own.append(fd)
            elif connection.phase is IDLE:
                self._read(lead, connection)
            else:
                self._serve_by_phase(lead, connection, flags, now)
        if self.pipes.queue:
            self.pipes.run(lead, now)
        while ready:
            self._dispatch(lead, *ready.popleft())
        # Then, because a stop closes idle connections, and those with requests to run seem idle.
        for fd in own:
            self._serve_own(fd, now)
        if self._deferred:
            self.dispatcher.pipelining.go_on(lead, self._read_steps.read_next)
        if self._queue.count:
            self.dispatcher.run_one_queued(lead, clock())
        if self._due:
            self.channels.look(clock())
        for _ in range(min(len(self._resumed), CONTINUATIONS_A_TURN)):
            self._dispatch(lead, self._resumed.popleft())
        if self._opened:
            self.channels.begin()
        if self.pipes.dirty:
            self.pipes.finish_turn()
        if self._single_threaded:
            self.accepting.served()
        if self.accepting.due:
            self.accepting.take(clock())
        if self.listeners.held:
            self.accepting.watch_again(clock())

    def patience(self) -> float:
        """Seconds to the next look at the clock; negative: until something is ready."""
        # What the last turn has left: it may have ended early, if its leader was deposed.
        if any(self._left):
            return 0.0
        if self.listeners.held:
            return self.accepting.patience()
        if self.stopping.asked is not None:
            return min(self.stopping.pause, self.deadlines.pause)
        if self._queue.count:
            return HELD
        watched = self.connections or self.accepting.waker_fd != NONE
        return self.deadlines.pause if watched else -1.0

    def _tick(self, now: float) -> None:
        """Once an interval: refresh the Date line, and act on everything that ran out of time."""
        self.responder.extra.refresh(time.time())
        exceeded = self.deadlines.exceeded(with_streams(self.connections), now)
        pace = self.deadlines if self.stopping.asked is None else self.stopping
        self._next_tick = now + pace.pause
        self._closing.expire(exceeded, self.channels.refuse_slow, now)
        for part in self._parts:
            part.tick(now)
        self.crew.start_watcher()
        self.scheduler.tick(now, self.stopping.with_thread)
        if self.responder.stopping:  # later: clients connect until the listeners are closed
            self.stopping.tick(now)

    def _serve_own(self, fd: int, now: float) -> None:
        """A listener or a waker; or a connection that was closed earlier in this turn."""
        if fd == self._waker.fileno():
            self._waker.clear()
            self.accepting.open_once(now)
            self.row.cells[Figure.LEADER] = now
            self.dispatcher.take_back()
            if self.stopping.asked is not None:
                self._next_tick = min(self._next_tick, now + self.stopping.pause)
                self.stopping.begin(now)
                self.channels.stop()
                self.pipes.stop(now)
                self.accepting.pass_on(now)
        elif fd in self.listeners.sockets:
            self.accepting.due.append(fd)
        elif fd == self.accepting.waker_fd:
            self.accepting.asked(now)

    def _serve_by_phase(self, lead: Lead, connection: Connection, flags: int, now: float) -> None:
        """A connection in any phase but IDLE is ready."""
        phase = connection.phase
        if phase is HEAD or phase is BODY:
            if connection.deferred:
                self._closing.watch(connection, 0)  # received bytes come first
            else:
                read = self._body_reader.receive if phase is BODY else None
                self._read(lead, connection, bool(read) or not connection.is_silent(), read)
        elif phase is WRITING:
            self._keep_alive.flush(connection, now)
        elif phase is STREAMING:
            self.streams.resume(lead, connection)
        elif phase is LATER:
            if self.channels.serve(connection, flags, now):
                self._read(lead, connection)
        elif phase is PIPE:
            self.pipes.serve(connection, flags, now)
        elif phase is RUNNING:
            # The client has sent more, or has gone; either waits until its response is finished.
            # Watching for nothing is not enough, because the kernel reports a hang-up regardless.
            if not (flags & WRITE and self.streams.send(connection, self.responder.sendfile)):
                self._closing.watch(connection, 0)
        elif phase is LINGER:
            self._closing.drain(connection)

    # --- reading requests

    def _read(
        self, lead: Lead, connection: Connection, partial: bool = False, read: turn.Reader = None
    ) -> None:
        """The path of nearly every request: bytes in, and the response out.

        `partial`: the beginning of the head has been read before. `read`: reads something else.
        """
        try:
            read = read or self._read_ordinary
            data = connection.sock.recv(self._read_size) if read is None else read(connection)
            if data is None:
                return  # the request has been read
        except BlockingIOError as blocked:
            self._closing.watch(connection, WRITE if isinstance(blocked, WantsWrite) else READ)
            return
        except OSError as error:
            self._closing.cannot_receive(connection, error)
            return
        try:
            event = connection.machine.receive(data)
        except RemoteProtocolError as error:
            if not self.pipes.take(connection, data):
                self._closing.refuse(connection, error, clock())
            return
        except Exception as error:
            self._closing.fault(connection, error)
            return
        if connection.machine.reading is not REQUEST_READ or event.__class__ is not RequestHead:
            self.shown.read(self.shown.memory, 0, data)  # perhaps the beginning of a head
            self._handle_events(lead, connection, event, None if partial else data)
            return
        # As _begin, without its calls (tests/server/test_inlined_paths.py compares the two).
        exchange = _new_exchange(ServerExchange)
        exchange.head, exchange.connection = event, connection
        exchange.responder = self.responder
        exchange.body = exchange.cached_environ = exchange.key = exchange.match = None
        exchange.began = 0.0
        exchange.context = context = Context()
        try:
            exchange.key = context.run(self._prepare, exchange)
        except BaseException as error:
            self._closing.fail_early(connection, exchange, error)
            return
        connection.phase = IDLE
        self._ready.append((exchange, None if partial else data))

    def _read_deferred(self, lead: Lead, connection: Connection) -> None:
        """One more request of a connection that was deferred, or a part of its body."""
        self._handle_events(lead, connection)
        while self._ready:  # before more of the connection is read
            self._dispatch(lead, *self._ready.popleft())

    def _handle_events(
        self, lead: Lead, connection: Connection, event: Event | None = None, data: Seen = None
    ) -> None:
        """Handle events up to the next that needs bytes, or a complete request."""
        machine = connection.machine
        pieces = 0
        try:
            if event is None:
                event = machine.next_event()
            while event is not NEED_DATA:
                if isinstance(event, RequestHead):
                    self._begin(lead, connection, event, data)
                    return
                if isinstance(event, Data):
                    self._body_reader.take(connection, event.data)
                    pieces += 1
                    if pieces == PIECES_A_TURN and machine.buffered:
                        self._keep_alive.defer(connection)
                        return
                elif event is Signal.END_OF_MESSAGE:
                    self._ready.append((self._body_reader.end(connection), None))
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

    def _begin(
        self, lead: Lead, connection: Connection, head: RequestHead, data: Seen = None
    ) -> None:
        """Make the exchange of a request; its body is read first, if it has one."""
        exchange = ServerExchange(head, connection, self.responder)
        try:
            exchange.key = exchange.context.run(self._prepare, exchange)
        except BaseException as error:
            self._closing.fail_early(connection, exchange, error)
            return
        if head.content_length or head.chunked:
            after_head = self._body_reader.begin(exchange)
            if after_head is STREAM:
                self._dispatch(lead, exchange, slow=True)
            elif after_head is RECEIVE:
                self._handle_events(lead, connection)
            if after_head is not READY:
                return
        connection.phase = IDLE
        self._ready.append((exchange, data))
