"""An application that leaks: workers are replaced at a limit of memory, before the old ones end."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from bench.chaos import questions
from bench.chaos.fault import Fault, Scene
from bench.chaos.faults.draining import note_refusals
from bench.chaos.faults.killing import await_replacement
from bench.chaos.servers import Setup

LIMIT = 160  # MiB
LEAK = 24  # MiB that one request leaks
EVERY = 0.6  # seconds between two leaks; a supervisor needs some time to notice
ABOVE = LIMIT + 4 * LEAK  # MiB that a worker may use until it has been replaced
REPLACED = 20.0
OPTIONS = {
    "carboy": ("--max-memory", f"{LIMIT}m"),
    "granian": ("--workers-max-rss", str(LIMIT), "--rss-sample-interval", "1"),
}


def leak(scene: Scene) -> None:
    """Let the workers leak, one request after the other, until one has been replaced."""
    most = 0
    for _ in scene.every(1.0):
        before = scene.served.workers()
        while set(before) <= set(scene.served.workers()) and most <= ABOVE:
            scene.fetch(f"/leak/{LEAK}")
            time.sleep(EVERY)
            most = max(most, *map(resident, scene.served.workers()))
        await_replacement(scene, before, REPLACED)
    scene.note(f"a worker used at most {most} MiB")
    if most > ABOVE:
        scene.miss(f"a worker uses {most} MiB, with a limit of {LIMIT}")
    note_refusals(scene)


def resident(pid: int) -> int:
    """MiB of resident memory; 0 if the process has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    return 0


LIMITED = ("carboy", "granian")  # servers that have a limit of memory
FAULTS = [
    Fault(
        "leak",
        f"an application leaks {LEAK} MiB for each request of one kind; limit {LIMIT} MiB a worker",
        leak,
        setup=Setup(options=OPTIONS),
        servers=LIMITED,
        source=questions.posts,
        seconds=10,
    ),
    Fault(
        "leak-only",
        "the same with a single worker",
        leak,
        setup=Setup(workers=1, options=OPTIONS),
        servers=LIMITED,
        source=questions.posts,
        seconds=10,
    ),
]
