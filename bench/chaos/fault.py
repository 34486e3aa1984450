"""A fault, and its run on one server."""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos import questions
from bench.chaos.client import Client
from bench.chaos.ledger import Ledger, ways
from bench.chaos.load import Load
from bench.chaos.prober import EVERY, Prober
from bench.chaos.proxy import PROXIES
from bench.chaos.questions import Question, Source
from bench.chaos.servers import Served, Server, Setup
from bench.chaos.waits import until

WARM_UP = 0.5
SETTLE = 0.5
NUISANCE = 2.0  # seconds that clients which are not counted wait for a response
ALL = ("carboy", "gunicorn", "granian")


@dataclass(frozen=True)
class Fault:
    """One kind of fault, and the load during it."""

    name: str
    title: str
    run: Callable[[Scene], None]  # injects the fault, under load
    prepare: Callable[[Served], None] = lambda served: None  # before the server starts
    after: Callable[[Scene], None] = lambda scene: None  # when the load has ended
    setup: Setup = field(default_factory=Setup)
    servers: Sequence[str] = ALL
    seconds: float = 4.0  # how long faults are injected
    clients: int = 8
    source: Source = questions.mixed
    proxy: str = ""  # the name of the proxy in front of the server
    instances: int = 1  # servers behind the proxy
    probed: bool = True  # whether the prober runs
    kills: bool = False  # whether requests inside a killed process may be lost
    down: float = 0.0  # seconds without service that each injection may cost
    only_by_name: bool = False  # not among the faults that run when none is named
    missing: Callable[[], str | None] = lambda: None  # why it cannot be run on this machine

    def heading(self) -> str:
        """The name and the title, and whether only Carboy can have this fault."""
        only = " (Carboy only)" if tuple(self.servers) == ("carboy",) else ""
        return f"{self.name}: {self.title}{only}"

    def absent(self) -> str | None:
        """Why the fault cannot be injected here, or None."""
        reason = self.missing()
        return PROXIES[self.proxy].absent() if self.proxy and reason is None else reason


class Scene:
    """One server under one fault: what the fault uses, and its results."""

    def __init__(self, fault: Fault, served: Served, seconds: float) -> None:
        self.fault = fault
        self.served = served
        self.instances = [served]  # of the server, behind the proxy
        self.seconds = seconds
        self.ledger = Ledger()
        self.injected: list[float] = []
        self.deaths: list[float] = []  # times at which a process of the server was killed
        self.recoveries: list[float] = []
        self.endings: list[float] = []  # seconds from a stop signal to the end
        self.notes: list[str] = []
        self.misses: list[str] = []
        self.address = served.address  # of the server, or of the proxy in front of it
        self._side: list[threading.Thread] = []

    def every(self, seconds: float) -> Iterator[int]:
        """Number the injections, one every `seconds`, until the time is over; at least one."""
        end = time.monotonic() + self.seconds
        due = time.monotonic()
        number = 0
        while number == 0 or due < end:
            self.injected.append(time.monotonic())
            yield number
            number += 1
            due = max(due + seconds, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def times(self, many: int) -> Iterator[int]:
        """Number `many` injections, or fewer in a shorter run; the next one follows at once."""
        for number in range(max(1, round(many * self.seconds / self.fault.seconds))):
            self.injected.append(time.monotonic())
            yield number

    def aside(self, question: Question, patience: float) -> None:
        """Send a request that is part of the fault. Its outcome is not counted."""
        client = Client(self.address, Ledger(), keep=False, patience=patience)
        thread = threading.Thread(target=client.ask, args=(question,), daemon=True)
        thread.start()
        self._side.append(thread)

    def once(self, question: Question) -> None:
        """Send one request on its own connection, and count its outcome."""
        Client(self.address, self.ledger, keep=False).ask(question)

    def load(self, clients: int = 8, source: Source = questions.mixed) -> Load:
        return Load(self.address, self.ledger, clients=clients, source=source)

    def nuisance(self, question: Question, clients: int) -> Load:
        """Clients that send the same request without a pause. Outcomes are not counted."""
        source = functools.partial(itertools.repeat, question)
        return Load(
            self.address,
            Ledger(),
            clients=clients,
            source=lambda number: source(),
            pause=0,
            patience=NUISANCE,
        )

    def fetch(self, path: str) -> str:
        """The body of a response that is not counted; "" if there is none."""
        client = Client(self.address, Ledger(), keep=False, patience=5)
        return client.fetch(questions.get(path))

    def until(self, true: Callable[[], bool], seconds: float, missing: str) -> bool:
        """Wait for a condition. If it is not met in time, report `missing` as a missed goal."""
        begin = time.monotonic()
        if until(true, seconds):
            return True
        self.miss(f"{missing} within {time.monotonic() - begin:.0f} s")
        return False

    def note(self, text: str) -> None:
        self.notes.append(text)

    def miss(self, text: str) -> None:
        if text not in self.misses:  # each text is reported once
            self.misses.append(text)

    def join(self, seconds: float = 1.0) -> None:
        for thread in self._side:
            thread.join(seconds)


class Deaths:
    """A thread that records when worker processes end."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        known: set[int] = set()
        while not self._enough.wait(EVERY):
            now = set(self.scene.served.workers())
            self.scene.deaths += [time.monotonic()] * len(known - now)
            known = now

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._enough.set()
        self._thread.join()


@dataclass(frozen=True)
class Result:
    """The result of one run; seconds are None without a prober."""

    times: int
    sent: int
    right: int
    refused: int
    lost: int
    excused: int  # lost requests that ran inside a killed process
    without: float | None
    recovery: float | None
    slowest_probe: float | None
    slowest: float
    notes: list[str]
    misses: list[str]


def carry_out(fault: Fault, server: Server, folder: Path, scale: float) -> Result:
    """Run `fault` on `server`, for `scale` times its usual time. Raises ServerFailed."""
    served = Served(server, fault.setup, folder)
    scene = Scene(fault, served, fault.seconds * scale)
    prober = None
    with contextlib.ExitStack() as stack:
        for number in range(1, fault.instances):
            place = folder / f"instance-{number}"
            place.mkdir(exist_ok=True)
            scene.instances.append(Served(server, fault.setup, place))
        for each in scene.instances:
            stack.callback(each.close)
            fault.prepare(each)
            each.start()
        if fault.proxy:
            addresses = [each.address for each in scene.instances]
            proxy = PROXIES[fault.proxy].in_front_of(addresses, folder)
            scene.address = stack.enter_context(proxy)
        if fault.probed:
            prober = Prober(scene.address, scene.ledger)
            load = scene.load(fault.clients, fault.source)
            with Deaths(scene), load, prober:
                time.sleep(WARM_UP)
                fault.run(scene)
                time.sleep(SETTLE)
                load.finish()  # waits for clients and probes together
        else:
            fault.run(scene)
        fault.after(scene)
    scene.join()
    return judged(scene, prober)


def judged(scene: Scene, prober: Prober | None) -> Result:
    """The figures of a finished run, compared with the goals."""
    fault, ledger = scene.fault, scene.ledger
    unexcused = ledger.unexcused(scene.deaths if fault.kills else ())
    misses = list(scene.misses)
    if unexcused:
        misses.append(f"lost: {ways(unexcused)}")
    if ledger.open:
        misses.append(f"{ledger.open} requests have no outcome, which is a bug in bench/chaos")
    without = recovery = slowest_probe = None
    if prober is not None:
        without = sum(gap.seconds for gap in prober.gaps)
        recovery = max([*scene.recoveries, *_recoveries(scene.injected, prober)], default=0.0)
        slowest_probe = prober.slowest
        if any(gap.seconds > max(fault.down, 1.0) for gap in prober.gaps):
            misses.append(f"{without:.1f} s without service")
        if prober.late > 0.5:
            scene.note(f"the prober itself was {prober.late:.1f} s late")
    return Result(
        times=len(scene.injected),
        sent=ledger.sent,
        right=ledger.right,
        refused=ledger.refused,
        lost=ledger.lost,
        excused=ledger.lost - len(unexcused),
        without=without,
        recovery=recovery,
        slowest_probe=slowest_probe,
        slowest=ledger.slowest,
        notes=scene.notes,
        misses=misses,
    )


def _recoveries(injected: Sequence[float], prober: Prober) -> Iterator[float]:
    """The times from the last injection before the end of a gap to that end."""
    for gap in prober.gaps:
        before = [at for at in injected if at < gap.end]
        if before:
            yield gap.end - max((at for at in before if at <= gap.begin + 1), default=before[0])
