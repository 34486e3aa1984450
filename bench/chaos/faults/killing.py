"""Worker processes that are killed, kill themselves, or hang."""

from __future__ import annotations

import os
import signal

from bench.chaos.fault import Fault, Scene
from bench.chaos.questions import get
from bench.chaos.servers import Wish

WORKER_TIMEOUT = 5
RECOVERY = WORKER_TIMEOUT + 2.0
CARBOY_GUNICORN = ("carboy", "gunicorn")


def kill_a_worker(scene: Scene) -> None:
    for _ in scene.every(1.0):
        for worker in scene.served.workers()[:1]:
            os.kill(worker, signal.SIGKILL)


def view_that_kills(scene: Scene) -> None:
    for _ in scene.every(2.0):
        scene.aside(get("/die", b""), 5)


def stick_all(scene: Scene) -> None:
    """Until each worker is stuck: connections may go twice to the same one."""
    for _ in scene.every(RECOVERY + 3):
        for _ in range(2 * scene.fault.wish.workers):
            scene.aside(get("/stick", b""), RECOVERY + 5)


FAULTS = [
    Fault("killed", "a worker of two is killed every second", kill_a_worker, kills=True),
    Fault("kills", "a view kills its worker every 2 s", view_that_kills, kills=True),
    Fault(
        "stuck",
        f"workers hold the interpreter lock; time-out {WORKER_TIMEOUT} s",
        stick_all,
        wish=Wish(worker_timeout=WORKER_TIMEOUT),
        servers=CARBOY_GUNICORN,
        seconds=2 * RECOVERY,
        kills=True,
        down=RECOVERY,
    ),
]
