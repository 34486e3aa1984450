"""Worker processes that are killed, kill themselves, hang, or cannot be started."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from bench.chaos import views
from bench.chaos.fault import Fault, Scene
from bench.chaos.questions import get
from bench.chaos.servers import Wish, signal_to
from bench.chaos.waits import until

WORKER_TIMEOUT = 5
RECOVERY = WORKER_TIMEOUT + 2.0
START_TIMEOUT = 2
REPLACED = 2.0
"""Seconds within which a worker that served is replaced."""
PUT_OFF = 5.0
"""The same, after others have died while they started: those are not started all the time."""
MOMENT = 1.5
APART = 0.4
TIMED = ("carboy", "gunicorn")  # those that look after workers that hang
WATCHED = Wish(worker_timeout=WORKER_TIMEOUT)


def kill_a_worker(scene: Scene) -> None:
    """The oldest, each time when all answer."""
    for _ in scene.every(1.0):
        before = scene.served.workers()
        if not before:
            scene.miss("there are no worker processes")
        for worker in before[:1]:
            signal_to(worker, signal.SIGKILL)
        await_replacement(scene, before, REPLACED)
        await_answers(scene)


def view_that_kills(scene: Scene) -> None:
    for _ in scene.every(2.0):
        scene.aside(get("/die"), 5)


def stick_all(scene: Scene) -> None:
    """One after the other: a worker that is stuck accepts nothing, so another gets the next.

    They leave the processors alone, so that it is the servers' time that is measured.
    """
    for _ in scene.every(RECOVERY + 3):
        for _ in range(scene.fault.wish.workers):
            scene.aside(get("/hold"), RECOVERY + 5)
            time.sleep(APART)


def stick_one(scene: Scene) -> None:
    for _ in scene.every(1.0):
        before = scene.served.workers()
        scene.aside(get("/stick"), RECOVERY + 5)
        await_replacement(scene, before, RECOVERY)


def suspend_one(scene: Scene) -> None:
    for _ in scene.every(1.0):
        before = scene.served.workers()
        for worker in before[:1]:
            signal_to(worker, signal.SIGSTOP)
        await_replacement(scene, before, RECOVERY)


def await_replacement(scene: Scene, before: list[int], within: float) -> None:
    """Note how long it takes until one worker of those before is gone and another is there."""
    begin = time.monotonic()

    def replaced() -> bool:
        now = scene.served.workers()
        return len(now) >= len(before) and not set(before) <= set(now)

    if scene.until(replaced, within, "the worker is replaced"):
        scene.recoveries.append(time.monotonic() - begin)


def die_at_start(scene: Scene) -> None:
    """One of two workers is killed, and those that are to replace it die while they start."""
    for _ in scene.every(1.0):
        file = told(scene, views.SUICIDE)
        for worker in scene.served.workers()[:1]:
            signal_to(worker, signal.SIGKILL)
        time.sleep(2.0)
        file.unlink()
        begin = time.monotonic()
        steady = Steady(scene, scene.fault.wish.workers)
        if scene.until(steady, PUT_OFF, "the worker is replaced once it can start"):
            scene.recoveries.append(time.monotonic() - begin)
        await_answers(scene)


def await_answers(scene: Scene) -> None:
    """Until each worker has answered, or a moment is over: the kernel may prefer some."""
    heard: set[str] = set()

    def all_heard() -> bool:
        heard.add(scene.fetch("/pid"))
        return {str(pid) for pid in scene.served.workers()} <= heard

    until(all_heard, MOMENT)


class Steady:
    """True when the same enough workers were there for a while."""

    SECONDS = 0.3

    def __init__(self, scene: Scene, enough: int) -> None:
        self.scene = scene
        self.enough = enough
        self.seen: list[int] = []
        self.since = 0.0

    def __call__(self) -> bool:
        now = self.scene.served.workers()
        if now != self.seen or len(now) < self.enough:
            self.seen, self.since = now, time.monotonic()
        return time.monotonic() - self.since > self.SECONDS


def hang_in_import(scene: Scene) -> None:
    """A reload whose new workers never get ready, and then one that is right."""
    for _ in scene.every(1.0):
        file = told(scene, views.HANG)
        scene.served.signal(signal.SIGHUP)
        time.sleep(START_TIMEOUT + 1)
        file.unlink()
        before = set(scene.served.workers())
        scene.served.signal(signal.SIGHUP)
        begin = time.monotonic()

        def renewed(before: set[int] = before) -> bool:
            now = set(scene.served.workers())
            return len(now) >= scene.fault.wish.workers and not before & now

        if scene.until(renewed, 15, "a reload after one that hung"):
            scene.recoveries.append(time.monotonic() - begin)


def told(scene: Scene, what: str) -> Path:
    """Tell the application what to do at its next import, until the file is removed."""
    file = scene.served.folder / what
    file.touch()
    return file


FAULTS = [
    Fault("killed", "one of two workers is killed (SIGKILL)", kill_a_worker, kills=True, seconds=6),
    Fault(
        "killed-only",
        "the only worker is killed (SIGKILL)",
        kill_a_worker,
        wish=Wish(workers=1),
        kills=True,
        down=REPLACED,
    ),
    Fault("kills", "a view kills its worker every 2 s", view_that_kills, kills=True, seconds=6),
    Fault(
        "stuck",
        f"all workers wait with the interpreter lock; time-out {WORKER_TIMEOUT} s",
        stick_all,
        wish=WATCHED,
        servers=TIMED,
        seconds=RECOVERY + 4,
        kills=True,
        down=RECOVERY,
    ),
    Fault(
        "stuck-one",
        f"a regular expression holds the lock in one of two workers; time-out {WORKER_TIMEOUT} s",
        stick_one,
        wish=WATCHED,
        servers=TIMED,
        seconds=RECOVERY + 1,
        kills=True,
    ),
    Fault(
        "suspended",
        f"one of two workers is stopped (SIGSTOP); time-out {WORKER_TIMEOUT} s",
        suspend_one,
        wish=WATCHED,
        servers=TIMED,
        seconds=RECOVERY + 1,
        kills=True,
    ),
    Fault(
        "dies-at-start",
        "a worker of two is killed; for 2 s, those that replace it die while they start",
        die_at_start,
        kills=True,
    ),
    Fault(
        "import-hangs",
        f"a reload (SIGHUP) hangs in import; start time-out {START_TIMEOUT} s; then one is right",
        hang_in_import,
        wish=Wish(options={"carboy": ("--start-timeout", str(START_TIMEOUT))}),
        seconds=6,
    ),
]
