"""A hundred complete reloads behind a proxy, under POSTs that no proxy may send twice."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

from bench.chaos import questions
from bench.chaos.fault import Fault, Scene
from bench.chaos.faults.draining import note_refusals
from bench.chaos.servers import Served
from bench.chaos.waits import until
from bench.commands import carboy_command

RELOADS = 100
OF_OTHERS = 20  # of other servers, of which one needs seconds for each
EACH = 1.5  # seconds that a reload takes on a machine that has nothing else to do, about
PATIENCE = 40.0


def reload_often(scene: Scene) -> None:
    """Reload, and wait until all workers are new, again and again.

    With Carboy, every other time is the command `carboy reload` and not a signal.
    """
    for number in scene.times(RELOADS if scene.served.server.ours else OF_OTHERS):
        before = set(scene.served.workers())
        if scene.served.server.ours and number % 2:
            if problem := command(scene.served):
                scene.miss(f"carboy reload: {problem}")
        else:
            scene.served.signal(signal.SIGHUP)
        if not until(renewed(scene, before), PATIENCE):
            scene.miss(f"a reload has not ended within {PATIENCE:g} s")
    note_refusals(scene)


def renewed(scene: Scene, before: set[int]) -> Callable[[], bool]:
    """A function that says whether all workers are others than `before`, and none is missing."""

    def true() -> bool:
        now = set(scene.served.workers())
        return len(now) == scene.fault.setup.workers and not before & now

    return true


def command(served: Served) -> str:
    """Run `carboy reload`; its error, or ""."""
    done = subprocess.run(
        [carboy_command(), "reload", "--pid", str(served.pid)],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip()


FAULTS = [
    Fault(
        f"reloads-{proxy}",
        f"{RELOADS} complete reloads under keep-alive and POSTs, through {label}",
        reload_often,
        source=questions.posts,
        seconds=RELOADS * EACH,
        proxy=proxy,
    )
    for proxy, label in (("nginx", "nginx"), ("haproxy", "HAProxy"))
]
