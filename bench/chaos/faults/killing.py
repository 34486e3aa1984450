"""Worker processes that are killed, kill themselves, hang or cannot be started."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from bench.chaos import views
from bench.chaos.fault import Fault, Scene
from bench.chaos.questions import get
from bench.chaos.servers import Setup, signal_to
from bench.chaos.waits import until

WORKER_TIMEOUT = 5
RECOVERY = WORKER_TIMEOUT + 2.0
START_TIMEOUT = 2
REPLACED = 2.0
"""Seconds within which a working worker has to be replaced."""
PUT_OFF = 5.0
"""The same after replacements have died, as a server waits before it starts the next one."""
MOMENT = 1.5
APART = 0.4
TIMED = ("carboy", "gunicorn")  # servers that replace workers that hang
WATCHED = Setup(worker_timeout=WORKER_TIMEOUT)


def kill_a_worker(scene: Scene) -> None:
    """Kill the oldest worker, whenever all workers answer."""
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
    """Block one worker after the other; a blocked worker accepts no further request.

    They use no processor time, so that the time of the server is measured.
    """
    for _ in scene.every(RECOVERY + 3):
        for _ in range(scene.fault.setup.workers):
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
    """Record how long it takes until a worker has been replaced by a new one."""
    begin = time.monotonic()

    def replaced() -> bool:
        now = scene.served.workers()
        return len(now) >= len(before) and not set(before) <= set(now)

    if scene.until(replaced, within, "the worker has not been replaced"):
        scene.recoveries.append(time.monotonic() - begin)


def die_at_start(scene: Scene) -> None:
    """Kill one of two workers, and let its replacements die while they start."""
    for _ in scene.every(1.0):
        file = told(scene, views.SUICIDE)
        for worker in scene.served.workers()[:1]:
            signal_to(worker, signal.SIGKILL)
        time.sleep(2.0)
        file.unlink()
        begin = time.monotonic()
        steady = Steady(scene, scene.fault.setup.workers)
        if scene.until(steady, PUT_OFF, "once it can start, the worker has not been replaced"):
            scene.recoveries.append(time.monotonic() - begin)
        await_answers(scene)


def await_answers(scene: Scene) -> None:
    """Wait until each worker has answered, or a moment is over: the kernel may prefer some."""
    heard: set[str] = set()

    def all_heard() -> bool:
        heard.add(scene.fetch("/pid"))
        return {str(pid) for pid in scene.served.workers()} <= heard

    until(all_heard, MOMENT)


class Steady:
    """True once enough workers have been running for a while without a change."""

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
    """A reload whose new workers never become ready, then one that succeeds."""
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
            return len(now) >= scene.fault.setup.workers and not before & now

        if scene.until(renewed, 15, "the reload after the failed one has not ended"):
            scene.recoveries.append(time.monotonic() - begin)


def told(scene: Scene, what: str) -> Path:
    """Tell the application what to do when it is imported, until the file is removed."""
    file = scene.served.folder / what
    file.touch()
    return file


FAULTS = [
    Fault("killed", "one of two workers is killed (SIGKILL)", kill_a_worker, kills=True, seconds=6),
    Fault(
        "killed-only",
        "the only worker is killed (SIGKILL)",
        kill_a_worker,
        setup=Setup(workers=1),
        kills=True,
        down=REPLACED,
    ),
    Fault("kills", "a view kills its worker every 2 s", view_that_kills, kills=True, seconds=6),
    Fault(
        "stuck",
        f"all workers wait and hold the interpreter lock; timeout {WORKER_TIMEOUT} s",
        stick_all,
        setup=WATCHED,
        servers=TIMED,
        seconds=RECOVERY + 4,
        kills=True,
        down=RECOVERY,
    ),
    Fault(
        "stuck-one",
        "a regular expression holds the interpreter lock in one of two workers;"
        f" timeout {WORKER_TIMEOUT} s",
        stick_one,
        setup=WATCHED,
        servers=TIMED,
        seconds=RECOVERY + 1,
        kills=True,
    ),
    Fault(
        "suspended",
        f"one of two workers is stopped (SIGSTOP); timeout {WORKER_TIMEOUT} s",
        suspend_one,
        setup=WATCHED,
        servers=TIMED,
        seconds=RECOVERY + 1,
        kills=True,
    ),
    Fault(
        "dies-at-start",
        "one of two workers is killed; for 2 s, its replacements die while they start",
        die_at_start,
        kills=True,
    ),
    Fault(
        "import-hangs",
        f"a reload (SIGHUP) hangs in an import, start timeout {START_TIMEOUT} s; one succeeds",
        hang_in_import,
        setup=Setup(options={"carboy": ("--start-timeout", str(START_TIMEOUT))}),
        seconds=6,
    ),
]
