"""Requests on threads of the crew: each is run, and given back to the leader.

What a member of the crew calls: `run` and what it needs. What the leader calls: `take_back`.
A leader that was deposed calls `give_back` for the exchange it ran. server/crew.py says why these
hand-overs are safe.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator

from carboy.gateway.interface import Gateway
from carboy.net.waker import Waker
from carboy.server.connection import IDLE, RUNNING, STREAMING, Connection
from carboy.server.crew import Crew
from carboy.server.dispatch_times import since, usage
from carboy.server.exchange import ServerExchange
from carboy.server.http2.connections import with_streams
from carboy.server.in_flight import InFlight
from carboy.server.request_body import BodyStream
from carboy.server.responder import Responder

clock = time.monotonic


class Runner:
    """Runs exchanges for an engine; `waker` wakes its leader."""

    def __init__(
        self, gateway: Gateway, responder: Responder, crew: Crew, in_flight: InFlight, waker: Waker
    ) -> None:
        self.gateway = gateway
        self.responder = responder
        self.crew = crew
        self.in_flight = in_flight
        self._waker = waker
        self._given_back: deque[ServerExchange] = deque()
        self.leaderless = threading.Event()  # the engine has ended: nothing takes exchanges back

    def run(self, exchange: ServerExchange) -> None:
        """Run the exchange, or resume its streamed response, and give it back."""
        began = clock()
        exchange.returned = False
        self.in_flight.begin(exchange)
        run = exchange.context.run
        if exchange.rest is not None:
            run(self.responder.resume, exchange)
            self.give_back(exchange, clock() - began)
            return
        exchange.began = began
        if exchange.measure_usage:
            exchange.usage_before = usage()
        try:
            answer = run(exchange.continuation or self.gateway.handle, exchange)
        except BaseException as error:
            run(self.responder.fail, exchange, error)
        else:
            run(self.responder.deliver, exchange, answer)
        self.give_back(exchange, clock() - began)

    def give_back(self, exchange: ServerExchange, seconds: float) -> None:
        """Hand the exchange to the leader. From now on, this thread does not touch it."""
        exchange.seconds = seconds
        if exchange.usage_before is not None:
            exchange.usage = since(exchange.usage_before)
            exchange.usage_before = None
        exchange.returned = True
        self.in_flight.end(exchange)
        self.crew.leave_token()
        self._given_back.append(exchange)
        self._waker.wake()
        if self.leaderless.is_set():
            self.close_late()

    def take_back(self) -> Iterator[ServerExchange]:
        """The exchanges that other threads have given back. Only for the leader."""
        given_back = self._given_back
        while given_back:
            yield given_back.popleft()

    # --- after the end, on any thread

    def close_late(self) -> None:
        """Close exchanges that were given back after the last leader has ended."""
        while self._given_back:
            try:
                exchange = self._given_back.popleft()
            except IndexError:
                return  # another thread was quicker
            self.abandon(exchange)
            exchange.connection.sock.close()

    def abandon_all(
        self, waiting: Iterable[ServerExchange], connections: dict[int, Connection]
    ) -> None:
        """Abandon exchanges that no thread runs, and close all connections."""
        for exchange in waiting:
            self.abandon(exchange)
            exchange.connection.phase = IDLE  # no thread has it
        for connection in with_streams(connections):
            connection.cut()
            if connection.phase is STREAMING and connection.exchange is not None:
                self.abandon(connection.exchange)
            if connection.phase is not RUNNING:
                connection.forget_file()
                connection.sock.close()
            if connection.received is not None:
                connection.received.close()
        connections.clear()

    def abandon(self, exchange: ServerExchange) -> None:
        """The engine ends first: close the objects that the application has open for `exchange`."""
        if exchange.rest is not None:
            exchange.connection.cut()
            exchange.context.run(self.responder.resume, exchange)
        close_body(exchange)


def close_body(exchange: ServerExchange) -> None:
    """Close the request's body, noting whether the client may still be sending it."""
    body = exchange.body
    if isinstance(body, BodyStream):
        exchange.connection.unread = not body.ended
    if body is not None:
        body.close()
