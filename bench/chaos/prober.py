"""Checks whether clients are served: a quick request every 50 ms, each on a new connection.

A waiting probe does not delay the next one: all run concurrently in one thread. The seconds
without service are the total length of the gaps of more than a second between right responses.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field

from bench.chaos.client import PATIENCE, Address, Wrong, parse_head
from bench.chaos.ledger import Ledger, Loss
from bench.chaos.questions import HELLO, HELLO_BODY

EVERY = 0.05
GAP = 1.0
"""Seconds. A shorter time without a right response is not an interruption."""


@dataclass(frozen=True)
class Gap:
    """A time without a right response."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def gaps(begin: float, answers: list[float], end: float, least: float = GAP) -> list[Gap]:
    """The times of more than `least` seconds between `begin`, the right responses and `end`."""
    moments = [begin, *sorted(answers), end]
    return [Gap(a, b) for a, b in itertools.pairwise(moments) if b - a > least]


@dataclass
class _Probe:
    """A request that is being answered."""

    connection: socket.socket
    sent: float
    received: bytes = b""
    asked: bool = False


@dataclass
class Prober:
    """Probes a server, as a context manager. `gaps` is valid after it."""

    address: Address
    ledger: Ledger
    patience: float = PATIENCE
    begin: float = 0.0
    end: float = 0.0
    answers: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    late: float = 0.0  # most seconds by which a probe was sent too late

    def __post_init__(self) -> None:
        self._enough = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._probes: dict[int, _Probe] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Prober:
        self.begin = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.end = time.monotonic()
        self._enough.set()
        self._thread.join()
        self._selector.close()

    @property
    def gaps(self) -> list[Gap]:
        return gaps(self.begin, [at for at in self.answers if at <= self.end], self.end)

    @property
    def slowest(self) -> float:
        """Most seconds that a right response took."""
        return max(self.waits, default=0.0)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._enough.is_set() or self._probes:
            now = time.monotonic()
            if now >= due and not self._enough.is_set():
                self.late = max(self.late, now - due)
                self._start(now)
                due = max(due + EVERY, now)
            for key, _ in self._selector.select(EVERY / 5):
                self._step(key.data)
            for probe in list(self._probes.values()):
                if now - probe.sent > self.patience:
                    self._over(probe, "no response in time")

    def _start(self, now: float) -> None:
        self.ledger.asked()
        connection = socket.socket()
        connection.setblocking(False)
        probe = _Probe(connection, now)
        with contextlib.suppress(BlockingIOError):
            connection.connect(self.address)
        self._probes[connection.fileno()] = probe
        self._selector.register(connection, selectors.EVENT_WRITE, probe)

    def _step(self, probe: _Probe) -> None:
        try:
            if not probe.asked:
                self._ask(probe)
                return
            received = probe.connection.recv(65536)
        except OSError as error:
            self._over(probe, f"connection failed: {type(error).__name__}", cut=True)
            return
        probe.received += received
        if not received:
            self._closed(probe)

    def _ask(self, probe: _Probe) -> None:
        if probe.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._drop(probe)
            self.ledger.was_refused()
            return
        last = HELLO.request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        probe.connection.sendall(last)
        probe.asked = True
        self._selector.modify(probe.connection, selectors.EVENT_READ, probe)

    def _closed(self, probe: _Probe) -> None:
        """The server has closed the connection, so the response is complete or lost."""
        head, _, body = probe.received.partition(b"\r\n\r\n")
        try:
            status, fields = parse_head(head)
        except Wrong:
            self._over(probe, "connection closed without a response", cut=True)
            return
        if len(body) < int(fields.get(b"content-length", 0)):
            self._over(probe, "connection closed within the response", cut=True)
            return
        if status == 503:
            self._drop(probe)
            self.ledger.was_refused()
        elif (status, body) != (200, HELLO_BODY):
            self._over(probe, f"wrong: status {status}, {len(body)} bytes")
        else:
            now = time.monotonic()
            self._drop(probe)
            self.ledger.was_right(now - probe.sent)
            self.answers.append(now)
            self.waits.append(now - probe.sent)

    def _over(self, probe: _Probe, how: str, cut: bool = False) -> None:
        self._drop(probe)
        self.ledger.was_lost(Loss(probe.sent, time.monotonic(), f"probe {how}", cut))

    def _drop(self, probe: _Probe) -> None:
        self._selector.unregister(probe.connection)
        del self._probes[probe.connection.fileno()]
        probe.connection.close()
