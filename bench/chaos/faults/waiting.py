"""Handlers that wait, some without end, and threads that cannot be started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from bench.chaos import questions
from bench.chaos.crowd import Crowd
from bench.chaos.fault import Fault, Scene
from bench.chaos.questions import Question, get
from bench.chaos.servers import Served, Setup

GRACE = 2
EXTRA = 5.0  # seconds after the graceful timeout within which the server has to end
LEFT_ALONE = 100
RUN_ANYWAY = 10  # requests that may have started before their client disconnected
UNPRIVILEGED = 65534  # id of a user who has limits


def wait_without_end(scene: Scene) -> None:
    for _ in scene.every(1.0):
        scene.aside(get("/forever"), scene.seconds + 2)
        scene.aside(get("/forever"), scene.seconds + 2)


def stop_with_stuck_threads(scene: Scene) -> None:
    begin = time.monotonic()
    scene.served.signal(signal.SIGTERM)
    code = scene.served.wait(GRACE + EXTRA)
    if code is None:
        scene.miss(f"has not ended {GRACE + EXTRA:g} s after SIGTERM")
    elif code:
        scene.miss(f"ended with {code} after SIGTERM")
    scene.note(f"ended {time.monotonic() - begin:.1f} s after SIGTERM")


def fill_the_crew(scene: Scene) -> None:
    """Send more requests that wait than there are threads, again and again."""
    for _ in scene.every(5.0):
        for _ in range(scene.fault.setup.threads + 8):
            scene.aside(get("/sleep/3.0"), 15)


def leave_the_queue(scene: Scene) -> None:
    """Clients that send a request while all threads are busy, and disconnect before one is free."""
    for _ in scene.every(5.0):
        before = int(scene.fetch("/counts") or 0)
        for _ in range(scene.fault.setup.threads):
            scene.aside(get("/sleep/2.0"), 15)
        time.sleep(0.3)
        with Crowd(scene.address, LEFT_ALONE, get("/counted").request):
            time.sleep(0.5)
        time.sleep(2.5 + LEFT_ALONE * 0.05 / scene.fault.setup.threads)
        ran = int(scene.fetch("/counts") or 0) - before
        scene.note(f"{ran} of {LEFT_ALONE} requests of disconnected clients ran")
        if ran > RUN_ANYWAY:
            scene.miss("requests of disconnected clients ran")


def naps(number: int) -> Iterator[Question]:
    while True:
        yield get("/sleep/0.2", b"slept 0.2")


def forbid_threads(scene: Scene) -> None:
    """Allow no new thread for two seconds, while more handlers wait than there are threads."""
    for _ in scene.every(4.0):
        if not scene.fetch("/threads/1"):
            scene.miss("the limit could not be set")
        with scene.load(clients=16, source=naps):
            time.sleep(2.0)
        scene.fetch("/threads/10000")
        time.sleep(0.5)


def as_unprivileged(served: Served) -> None:
    """Run the server as another user, because root has no limits; it may read all files."""
    if os.geteuid() == 0:
        rights = "+dac_override,+dac_read_search"
        who = [f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
        served.prefix = [
            "setpriv", *who, f"--inh-caps={rights}", f"--ambient-caps={rights}",
        ]  # fmt: skip


def block_the_loop(scene: Scene) -> None:
    with scene.nuisance(get("/coroutine/block"), clients=8):
        for _ in scene.every(1.0):
            pass


ONE = Setup(workers=1)
FAULTS = [
    Fault(
        "stuck-threads",
        f"two more handlers a second wait without end; then SIGTERM, graceful timeout {GRACE} s",
        wait_without_end,
        after=stop_with_stuck_threads,
        setup=Setup(
            options={
                "carboy": ("--graceful-timeout", str(GRACE)),
                "gunicorn": ("--graceful-timeout", str(GRACE)),
                "granian": ("--workers-kill-timeout", str(GRACE)),
            }
        ),
    ),
    Fault(
        "full-crew",
        "40 handlers wait 3 s in one process with 32 threads; other clients request quick routes",
        fill_the_crew,
        setup=ONE,
        source=questions.quick,
        seconds=6,
    ),
    Fault(
        "gone",
        f"all 8 threads wait, and {LEFT_ALONE} clients disconnect while their requests are queued",
        leave_the_queue,
        setup=Setup(workers=1, threads=8),
        source=questions.quick,
    ),
    Fault(
        "no-threads",
        "no thread can be started for 2 s, while 16 clients request handlers that wait",
        forbid_threads,
        prepare=as_unprivileged,
        setup=ONE,
    ),
    Fault(
        "coroutines",
        "async views block the event loop; other clients request ordinary views",
        block_the_loop,
        servers=("carboy",),
    ),
]
