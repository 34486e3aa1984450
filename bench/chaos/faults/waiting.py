"""Handlers that wait, for long or for ever, and threads that cannot be made."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from bench.chaos import questions
from bench.chaos.crowd import Crowd
from bench.chaos.fault import Fault, Scene
from bench.chaos.questions import Question, get
from bench.chaos.servers import Served, Wish

QUICK_ENOUGH = 1.0  # seconds that a quick answer may take beside handlers that wait
GRACE = 2
MERCY = 5.0  # seconds beyond the graceful time-out within which everything has ended
LEFT_ALONE = 100
RUN_ANYWAY = 10  # of those: requests that may have begun before their client left
NOBODY = 65534  # a user to whom limits apply


def wait_for_ever(scene: Scene) -> None:
    for _ in scene.every(1.0):
        scene.aside(get("/forever"), scene.seconds + 2)
        scene.aside(get("/forever"), scene.seconds + 2)


def stop_with_stuck_threads(scene: Scene) -> None:
    begin = time.monotonic()
    scene.served.signal(signal.SIGTERM)
    code = scene.served.wait(GRACE + MERCY)
    if code is None:
        scene.miss(f"has not ended {GRACE + MERCY:g} s after SIGTERM")
    elif code:
        scene.miss(f"ended with {code} after SIGTERM")
    scene.note(f"ended {time.monotonic() - begin:.1f} s after SIGTERM")


def fill_the_crew(scene: Scene) -> None:
    """More requests that wait than there are threads, again and again."""
    for _ in scene.every(5.0):
        for _ in range(scene.fault.wish.threads + 8):
            scene.aside(get("/sleep/3.0"), 15)


def leave_the_queue(scene: Scene) -> None:
    """Clients that ask while all threads are taken, and are gone when one gets free."""
    for _ in scene.every(5.0):
        before = int(scene.fetch("/counts") or 0)
        for _ in range(scene.fault.wish.threads):
            scene.aside(get("/sleep/2.0"), 15)
        time.sleep(0.3)
        with Crowd(scene.address, LEFT_ALONE, get("/counted").request):
            time.sleep(0.5)
        time.sleep(2.5 + LEFT_ALONE * 0.05 / scene.fault.wish.threads)
        ran = int(scene.fetch("/counts") or 0) - before
        scene.note(f"ran {ran} of {LEFT_ALONE} whose client had left")
        if ran > RUN_ANYWAY:
            scene.miss("requests ran whose client had left")


def naps(number: int) -> Iterator[Question]:
    while True:
        yield get("/sleep/0.2", b"slept 0.2")


def forbid_threads(scene: Scene) -> None:
    """Two seconds without a new thread while more handlers wait than there are threads."""
    for _ in scene.every(4.0):
        if not scene.fetch("/threads/1"):
            scene.miss("the limit could not be set")
        with scene.load(clients=16, source=naps):
            time.sleep(2.0)
        scene.fetch("/threads/10000")
        time.sleep(0.5)


def as_nobody(served: Served) -> None:
    """Limits do not hold for root; another user is given its right to read files."""
    if os.geteuid() == 0:
        rights = "+dac_override,+dac_read_search"
        who = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        served.prefix = [
            "setpriv", *who, f"--inh-caps={rights}", f"--ambient-caps={rights}",
        ]  # fmt: skip


def block_the_loop(scene: Scene) -> None:
    with scene.nuisance(get("/coroutine/block"), clients=8):
        for _ in scene.every(1.0):
            pass


ONE = Wish(workers=1)
FAULTS = [
    Fault(
        "stuck-threads",
        f"two more handlers a second wait for ever; then SIGTERM, graceful time-out {GRACE} s",
        wait_for_ever,
        after=stop_with_stuck_threads,
        wish=Wish(
            options={
                "carboy": ("--graceful-timeout", str(GRACE)),
                "gunicorn": ("--graceful-timeout", str(GRACE)),
                "granian": ("--workers-kill-timeout", str(GRACE)),
            }
        ),
    ),
    Fault(
        "full-crew",
        "40 handlers wait 3 s in one process with 32 threads, beside quick routes",
        fill_the_crew,
        wish=ONE,
        source=questions.quick,
        seconds=6,
    ),
    Fault(
        "gone",
        f"all 8 threads wait, and {LEFT_ALONE} clients leave before their turn",
        leave_the_queue,
        wish=Wish(workers=1, threads=8),
        source=questions.quick,
    ),
    Fault(
        "no-threads",
        "no thread can be made for 2 s, while 16 clients ask for handlers that wait",
        forbid_threads,
        prepare=as_nobody,
        wish=ONE,
    ),
    Fault(
        "coroutines",
        "async views that block the event loop, beside ordinary views",
        block_the_loop,
        servers=("carboy",),
    ),
]
