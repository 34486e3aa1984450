"""Requests over their time limit: found, answered, ended, and counted when they do not end.

A thread looks at the requests that run, when the first of them may be over its limit. Requests pay
nothing for that but their guard (server/guard.py). What it does with a request over its limit:

    runs on a thread   takes the connection, sends 503 or 504, raises RequestTimeout in the thread
    the response has begun (`write`)      cuts the connection instead of sending
    reads its body itself, unreceived     only raises; its thread answers
    answered through a channel            sends with the channel's lock, cancels the task
    has another protocol, has been answered, makes the pieces of a stream      nothing

Which thread may touch what, beside server/crew.py: `exchange.thread` is not 0 while a thread runs
the application and owns the connection. Of the connection, code of the application reaches

    with its lock `taking`    Connection.early_hints, has_left of the exchange, the first `write`,
                              RawSocket, Exchange.answer: each looks at `taken` first
    after its head            `write`: the connection is only cut then, which any thread may do
    without a lock            names of peer and server, which do not change

A guarded connection has the lock before `exchange.thread` is set (server/guard.py), and keeps it.
Without limits, a connection has neither guard nor lock, and only its own thread uses it.

So the thread of the limits may send on the connection after it has set `taken` with that lock,
while `exchange.overdue` has a lock without which the guard does not return. The response is the
last one of its connection, so nothing that the old thread reads there belongs to another request.

Only the leader calls `tick`. Any thread may call `changed`.
"""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from carboy import time_limits
from carboy.net.threads import NoThread, start_thread
from carboy.protocol.states import Writing
from carboy.server.exchange import ServerExchange
from carboy.server.guard import (
    Guard,
    Overdue,
    Stage,
    deliver,
    response_of,
    stack_of,
    stack_of_task,
)
from carboy.server.identity import log_about
from carboy.server.queueing import reserve_of
from carboy.server.request_body import BodyStream
from carboy.server.scoreboard import Figure
from carboy.server.view_limits import foreign_limit
from carboy.thread_frames import thread_frames
from carboy.time_limits import TimeLimit

if TYPE_CHECKING:
    from carboy.gateway.interface import Gateway
    from carboy.server.channel import Channel
    from carboy.server.engine import Engine

log = logging.getLogger("carboy.error")
clock = time.monotonic

AGAIN = 0.005  # seconds until a thread is looked at again that could not be interrupted
REFUSAL = "timeout"
LEAST = 0.005  # seconds between two looks
# Seconds after the limit until a thread counts as stuck. What waits in C code cannot be ended.
GRACE = 5.0
STUCK_LOOK = 1.0  # seconds between two looks at threads that are stuck
# Seconds after which the process must have been suspended when it has slept longer than it wanted.
SUSPENDED = 1.0


class TimeLimits:
    """Enforces the limits of the requests of an engine."""

    def __init__(self, engine: Engine, grace: float = GRACE) -> None:
        self._engine = engine
        self._default = engine.settings.request_limits.request_timeout or math.inf
        self._grace = grace
        self._thread: threading.Thread | None = None
        self._woken = threading.Semaphore(0)
        self._over = False
        self._floor = 0.0  # monotonic seconds: no request counts as older
        # Requests whose clients are answered, and whose application has not returned.
        self._unended: list[tuple[ServerExchange, Overdue]] = []
        self._found_stuck: deque[ServerExchange] = deque()  # for the leader
        self._forget = time_limits.listen(self.changed)

    # --- life

    def wanted(self) -> bool:
        """Whether there is a limit: of the option, or one that an application has declared."""
        return self._shortest() < math.inf

    def _shortest(self) -> float:
        return min(self._default, time_limits.shortest())

    def guard(self, gateway: Gateway) -> Gateway:
        """The gateway, guarded if there is a limit."""
        shedding = self._engine.scheduler.shedding
        if shedding is not None and self._engine.channels.shedding is None:
            self._engine.channels.shedding = shedding
            gateway = shedding.before(gateway)
        if not self.wanted():
            return gateway
        guard = Guard(gateway)
        self._engine.channels.guarded = guard.continued
        return guard

    def start(self) -> None:
        """Start the thread, if there is a limit. Raises NoThread."""
        if self._thread is None and self.wanted() and not self._over:
            thread = threading.Thread(target=self._run, name="carboy-time-limits", daemon=True)
            start_thread(thread)
            self._thread = thread

    def stop(self) -> None:
        """The engine has ended."""
        self._over = True
        self._forget()
        self._woken.release()

    def changed(self) -> None:
        """Another limit was declared: it may be shorter than the others."""
        self._woken.release()

    # --- the thread

    def _run(self) -> None:
        patience = 0.0
        while not self._over:
            due = clock() + patience
            if not self._woken.acquire(timeout=patience) and clock() > due + SUSPENDED:
                self._floor = clock()
            try:
                patience = self.look(clock())
            except Exception:
                log.exception("The time limits of requests could not be checked.")
                patience = SUSPENDED

    def look(self, now: float) -> float:
        """End the requests that are over their limits; returns the seconds until the next look."""
        shortest = self._shortest()
        due = now + shortest
        for exchange, end in self._running():
            limit = self._limit_of(exchange)
            at = max(since(exchange), self._floor) + limit.seconds
            if at <= now:
                end(exchange, with_service(limit, exchange), now)
            elif at < due:
                due = at
        if self._engine.scheduler.queue.count:
            due = min(due, now + shortest / 4)  # some have waited for a part of their time
        due = min(due, self._look_again(now))
        return min(max(LEAST, due - now), threading.TIMEOUT_MAX)

    def _limit_of(self, exchange: ServerExchange) -> TimeLimit:
        found = time_limits.limit_of(exchange) or foreign_limit(exchange)
        return found or TimeLimit(self._default)

    def _running(self) -> Iterator[tuple[ServerExchange, Callable[..., None]]]:
        """The requests that may be over their limits, each with the function that ends it."""
        engine = self._engine
        slot = engine.crew.current.slot[-1:]
        for exchange in {*slot, *list(engine.crew.running), *engine.streams.with_thread()}:
            if exchange.thread and exchange.overdue is None:
                yield exchange, self._end
        for channel in engine.channels.all():
            if hasattr(receiver_of(channel), "overdue"):
                exchange = channel.exchange
                if exchange.overdue is None and not exchange.head_begun and is_complete(channel):
                    yield exchange, self._end_later

    # --- a request on a thread

    def _end(self, exchange: ServerExchange, limit: TimeLimit, now: float) -> None:
        overdue = Overdue(limit, now)
        exchange.overdue = overdue
        thread = exchange.thread
        try:
            taking = exchange.connection.taking
            if not thread or taking is None:
                overdue.stage = Stage.MISSED
                return
            frame = thread_frames().get(thread)
            stack = stack_of(frame)
            del frame
            with taking:
                cut = exchange.head_begun
                overdue.stage = self._take(exchange, limit)
            if overdue.stage is Stage.MISSED:
                return
            self._log(exchange, limit, now, stack, cut)
            self._unended.append((exchange, overdue))
            deliver(exchange, overdue, thread_frames().get(thread))
        finally:
            if overdue.stage is Stage.DECIDING:  # a bug: the request goes on
                overdue.stage = Stage.MISSED
            overdue.lock.release()

    def _take(self, exchange: ServerExchange, limit: TimeLimit) -> Stage:
        """Take the connection and answer, or cut it. With the lock `taking` of the connection."""
        connection, responder = exchange.connection, self._engine.responder
        machine = connection.machine
        if exchange.socket_taken or exchange.made or machine.writing is Writing.DONE:
            return Stage.MISSED
        exchange.refusal = REFUSAL
        if exchange.head_begun:
            connection.taken = True
            connection.reset_on_close()
            connection.cut()
            responder.record(exchange, exchange.status, connection.body_sent)
            return Stage.ANSWERED
        if isinstance(exchange.body, BodyStream):
            return Stage.UNANSWERED
        connection.taken = True
        machine.close_after_response()
        responder.send_whole(exchange, *response_of(limit))
        if connection.unsent is not None:
            exchange.sending = exchange.sending or threading.Lock()  # the leader sends the rest
        elif connection.own_socket:
            try:
                connection.sock.shutdown(socket.SHUT_WR)  # the thread may keep it for long
            except OSError:
                connection.broken = True
        return Stage.ANSWERED

    # --- a request that is answered through a channel

    def _end_later(self, exchange: ServerExchange, limit: TimeLimit, now: float) -> None:
        channel = exchange.channel
        receiver = None if channel is None else receiver_of(channel)
        if channel is None or receiver is None:
            return
        stack = stack_of_task(receiver.task)
        overdue = Overdue(limit, now)
        overdue.lock.release()
        with channel.lock:
            if not channel.open or exchange.head_begun or exchange.overdue is not None:
                return
            overdue.stage = Stage.ANSWERED
            overdue.ended = True  # no thread runs the application
            exchange.overdue = overdue
            exchange.refusal = REFUSAL
            exchange.connection.machine.close_after_response()
            if channel.resumes:  # first: it would take the end for that of its client
                receiver.overdue()
            channel.give_up(*response_of(limit))
        self._log(exchange, limit, now, stack)
        if not channel.resumes:
            receiver.overdue()

    # --- the log

    def _log(
        self, exchange: ServerExchange, limit: TimeLimit, now: float, stack: str, cut: bool = False
    ) -> None:
        log_about(
            exchange,
            logging.ERROR,
            "%s is over its time limit of %g s%s, after %.1f s%s. %s:\n%s",
            exchange.request_line(),
            limit.seconds,
            f", waiting for {limit.upstream}" if limit.upstream else "",
            now - since(exchange),
            named(exchange),
            "The connection was cut, because the response had begun. It runs" if cut else "It runs",
            stack or "  (its code is not known)",
        )

    # --- those that do not end

    def _look_again(self, now: float) -> float:
        """Interrupt threads that could not be interrupted; returns when to look again."""
        due = math.inf
        frames = None
        stuck = 0
        for exchange, overdue in list(self._unended):
            if overdue.ended or not exchange.thread:
                self._unended.remove((exchange, overdue))
                continue
            if not overdue.delivered:
                frames = thread_frames() if frames is None else frames
                with overdue.lock:
                    if not deliver(exchange, overdue, frames.get(exchange.thread)):
                        due = min(due, now + AGAIN)
            if now < overdue.at + self._grace:
                due = min(due, overdue.at + self._grace)
                continue
            if not overdue.stuck:
                overdue.stuck = True
                self._found_stuck.append(exchange)
                self._log_stuck(exchange, overdue, now)
            stuck += 1
            due = min(due, now + STUCK_LOOK)
        self._engine.row.cells[Figure.STUCK] = stuck
        return due

    def _log_stuck(self, exchange: ServerExchange, overdue: Overdue, now: float) -> None:
        stack = stack_of(thread_frames().get(exchange.thread))
        log_about(
            exchange,
            logging.ERROR,
            "%s has not ended %.1f s after its time limit of %g s%s. Its thread is stuck:\n%s",
            exchange.request_line(),
            now - overdue.at,
            overdue.limit.seconds,
            named(exchange),
            stack,
        )

    # --- for the leader

    def tick(self, now: float) -> None:
        """Once an interval: guard an application that has declared its first limit, and so on."""
        self._begin_late()
        if self._engine.channels.shedding is not None:
            self._engine.channels.shedding.tick()
        while self._found_stuck:
            exchange = self._found_stuck.popleft()
            if not exchange.returned and exchange.thread:
                self._count_apart(exchange)

    def _count_apart(self, exchange: ServerExchange) -> None:
        """Keep the size of the crew: another thread takes the place of the one that is stuck."""
        engine = self._engine
        most = reserve_of(engine.crew.threads)
        if exchange in engine.crew.running and engine.streams.stuck < most:
            engine.streams.set_apart(exchange)

    def _begin_late(self) -> None:
        """Guard an application that has declared its first limit since it is served."""
        if self._thread is None and self.wanted():
            try:
                self.start()
            except NoThread:
                return  # later, perhaps
            self._engine.use(self.guard(self._engine.runner.gateway))


def with_service(limit: TimeLimit, exchange: ServerExchange) -> TimeLimit:
    """The limit with the service that the request waits for now, if it says one."""
    services = exchange.services[-1:]
    return TimeLimit(limit.seconds, services[0].service) if services else limit


def since(exchange: ServerExchange) -> float:
    """When the request had arrived completely, in monotonic seconds."""
    channel = exchange.channel
    arrived = exchange.arrived or exchange.queued_at or exchange.began
    return arrived if channel is None else max(arrived, channel.complete_at)


def is_complete(channel: Channel) -> bool:
    """Whether the request has come, or what has come of it waits for the application."""
    return channel.body_ended or bool(channel.paused_at)


def receiver_of(channel: Channel) -> Any:
    """The receiver of a channel; None: it is closed."""
    return getattr(channel, "receiver", None)


def named(exchange: ServerExchange) -> str:
    """The route and the id of a request, for the end of a sentence; "" if they are not known."""
    route = getattr(exchange, "route", "")
    number = getattr(exchange, "id", "")
    facts = [f"route {route}"] if route else []
    facts += [f"id {number}"] if number else []
    return f" ({', '.join(facts)})" if facts else ""
