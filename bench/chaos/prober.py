"""Whether somebody is served: a quick request every 50 ms, each on a new connection.

A probe that waits does not keep the next one: all run side by side in one thread. The seconds
without service are the lengths of the gaps above one second between two right answers.
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
"""Seconds; what is shorter is not called an interruption."""


@dataclass(frozen=True)
class Gap:
    """A time without a right answer."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def gaps(begin: float, answers: list[float], end: float, least: float = GAP) -> list[Gap]:
    """The times above `least` seconds between `begin`, the right answers and `end`."""
    moments = [begin, *sorted(answers), end]
    return [Gap(a, b) for a, b in itertools.pairwise(moments) if b - a > least]


@dataclass
class _Probe:
    """One request under way."""

    connection: socket.socket
    sent: float
    received: bytes = b""
    asked: bool = False


@dataclass
class Prober:
    """A context manager; `gaps` is asked afterwards."""

    address: Address
    ledger: Ledger
    patience: float = PATIENCE
    begin: float = 0.0
    end: float = 0.0
    answers: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    late: float = 0.0  # seconds by which this thread itself came too late, at worst

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
        """The longest time, in seconds, that a right answer took."""
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
                    self._over(probe, "not answered in time")

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
            self._over(probe, f"broken: {type(error).__name__}", cut=True)
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
        """The server has closed: now there is a whole answer, or there will never be one."""
        head, _, body = probe.received.partition(b"\r\n\r\n")
        try:
            status, fields = parse_head(head)
        except Wrong:
            self._over(probe, "closed without an answer", cut=True)
            return
        if len(body) < int(fields.get(b"content-length", 0)):
            self._over(probe, "cut within the answer", cut=True)
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
