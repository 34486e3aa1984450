"""Signals: reloads and stops under load, in any order."""

from __future__ import annotations

import random
import signal
import time

from bench.chaos import questions
from bench.chaos.fault import Fault, Scene
from bench.chaos.servers import signal_to
from bench.chaos.waits import until

RELOADS = 20
EVERY = 0.4
STOP_SECONDS = 10.0
UNDER_LOAD = 0.5
SEED = 12


def reload(scene: Scene) -> None:
    first = set(scene.served.workers())
    for _ in scene.every(EVERY):
        scene.served.signal(signal.SIGHUP)

    def renewed() -> bool:
        now = set(scene.served.workers())
        return len(now) == scene.fault.setup.workers and not first & now

    scene.until(renewed, 40, "the last reload has not ended")


def stop(scene: Scene) -> None:
    """Stop and restart the server, while clients continue to send requests."""
    with scene.load(source=questions.posts):
        for number in scene.every(0.1):
            if number:
                scene.served.start()
            time.sleep(UNDER_LOAD)
            end(scene)
    note_endings(scene)


def stop_amid_reloads(scene: Scene) -> None:
    """Reload at random times before and after the stop signal."""
    chance = random.Random(SEED)
    with scene.load(source=questions.posts):
        for number in scene.every(0.1):
            if number:
                scene.served.start()
            time.sleep(0.2)
            for _ in range(chance.randrange(4)):
                scene.served.signal(signal.SIGHUP)
                time.sleep(chance.choice((0, 0.01, 0.1, 0.5)) * chance.random())
            end(scene, hang_up_after=chance.choice((None, 0, 0.02)))
    note_endings(scene)


def end(scene: Scene, hang_up_after: float | None = None) -> None:
    """Send SIGTERM. The server has to end with exit code 0 and leave no process."""
    scene.served.signal(signal.SIGTERM)
    if hang_up_after is not None:
        time.sleep(hang_up_after)
        if scene.served.wait(0) is None:
            scene.served.signal(signal.SIGHUP)
    begin = time.monotonic()
    code = scene.served.wait(STOP_SECONDS)
    if code is None:
        scene.miss(f"has not ended {STOP_SECONDS:g} s after SIGTERM")
        scene.served.stop()
    elif code:
        scene.miss(f"ended with {code} after SIGTERM")
    scene.endings.append(time.monotonic() - begin)
    if not until(lambda: not scene.served.left(), 1):
        scene.miss("processes are left")
        scene.served.stop()


def note_endings(scene: Scene) -> None:
    scene.note(f"ended within {max(scene.endings):.1f} s")


def other_signals(scene: Scene) -> None:
    """Send SIGUSR1 and SIGUSR2, which end a program without handlers for them."""
    for _ in scene.every(0.3):
        for pid in (scene.served.pid, *scene.served.workers()):
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                signal_to(pid, number)


FAULTS = [
    Fault(
        "reload",
        f"SIGHUP {RELOADS} times under load with keep-alive and POSTs",
        reload,
        source=questions.posts,
        seconds=RELOADS * EVERY,
    ),
    Fault(
        "reload-proxy",
        f"SIGHUP {RELOADS} times under the same load, through nginx",
        reload,
        source=questions.posts,
        seconds=RELOADS * EVERY,
        proxy="nginx",
    ),
    Fault("stop", "SIGTERM under load, then a restart", stop, probed=False, seconds=6),
    Fault(
        "stop-reload",
        "SIGHUP and SIGTERM in random order under load",
        stop_amid_reloads,
        probed=False,
        seconds=6,
    ),
    Fault(
        "usr",
        "SIGUSR1 and SIGUSR2 to all processes",
        other_signals,
        servers=("carboy",),
        seconds=2,
    ),
]
