"""Shortages: a full disk, logs that are not read, few file descriptors."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench import process
from bench.chaos.crowd import Crowd
from bench.chaos.fault import Fault, Scene
from bench.chaos.questions import Question, get
from bench.chaos.servers import Served, Setup

DISK = "64k"
DESCRIPTORS = 64
HELD = 2.0
MEMORY = 40.0  # MiB that an unread log may cost for each worker
PLACE = "disk"
LONG_LINE = get(f"/?{'x' * 7_000}")


def unread_output(served: Served) -> None:
    """Make standard output a pipe that is not read."""
    served.stdout = served.unread()


def unread_errors(served: Served) -> None:
    served.stderr = served.unread()


def ask_quickly(scene: Scene) -> None:
    """Send requests with long log lines, and check the memory of the server."""
    before = process.cost(scene.served.pid).rss_mib
    with scene.nuisance(LONG_LINE, clients=2):
        for _ in scene.every(1.0):
            pass
    grown = process.cost(scene.served.pid).rss_mib - before
    scene.note(f"memory +{grown:.0f} MiB")
    if grown > MEMORY * scene.fault.setup.workers:
        scene.miss(f"the log takes {grown:.0f} MiB of memory")


def fail_often(scene: Scene) -> None:
    with scene.load(clients=2, source=failures):
        for _ in scene.every(1.0):
            pass


def failures(number: int) -> Iterator[Question]:
    """Requests whose right response is an error, with a traceback in the log."""
    while True:
        yield get("/fail", status=500)


def small_disk(served: Served) -> None:
    """Put the logs of the server on a file system of 64 KiB."""
    place = served.folder / PLACE
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "chaos", place], check=True)
    served.at_end(lambda: subprocess.run(["umount", "--lazy", place], check=True))
    served.log = place / "server.log"
    served.setup = Setup(access_log=str(place / "access.log"))


def no_mount() -> str | None:
    return None if os.geteuid() == 0 else "only root can mount a small file system"


def fill_the_disk(scene: Scene) -> None:
    """Fill the disk for a second, then free it for a second."""
    place = scene.served.folder / PLACE
    for _ in scene.every(2.0):
        with full(place):
            time.sleep(1.0)
        for log in place.glob("*.log"):
            os.truncate(log, 0)
    time.sleep(1.0)
    lines = b"".join(log.read_bytes() for log in place.glob("*.log")).splitlines()
    glued = sum(line.count(b" - - [") > 1 for line in lines)
    scene.note(f"{len(lines):,} lines in the log afterwards")
    if glued:
        scene.miss(f"{glued} pairs of lines in the log are joined")
    if not lines:
        scene.miss("nothing is logged after the disk is free again")


@contextlib.contextmanager
def full(place: Path) -> Iterator[None]:
    """Fill the file system of `place` during this context."""
    file = place / "filler"
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while filler.write(bytes(1024)):
            pass
    try:
        yield
    finally:
        file.unlink()


def few_descriptors(served: Served) -> None:
    served.prefix = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]


def use_up_descriptors(scene: Scene) -> None:
    for _ in scene.every(HELD + 1.5):
        with Crowd(scene.address, 2 * DESCRIPTORS, b""):
            time.sleep(HELD)


FAULTS = [
    Fault(
        "unread-stdout",
        "the access log is written to standard output, which is not read",
        ask_quickly,
        prepare=unread_output,
        setup=Setup(access_log="-"),
        seconds=4,
    ),
    Fault(
        "unread-stderr",
        "standard error is not read, and two clients request a view that fails",
        fail_often,
        prepare=unread_errors,
        seconds=4,
    ),
    Fault(
        "full-disk",
        "the disk with the logs (64 KiB) is alternately full and free for a second",
        fill_the_disk,
        prepare=small_disk,
        missing=no_mount,
    ),
    Fault(
        "descriptors",
        f"{2 * DESCRIPTORS} idle connections to a process with {DESCRIPTORS} descriptors",
        use_up_descriptors,
        prepare=few_descriptors,
        setup=Setup(workers=1, threads=8),
        clients=4,
        down=HELD + 2,
    ),
]
