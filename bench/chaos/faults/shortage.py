"""What runs out: room for logs, a reader of them, file descriptors."""

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
from bench.chaos.servers import Served, Wish

DISK = "64k"
DESCRIPTORS = 64
HELD = 2.0
MEMORY = 40.0  # MiB that a log nobody reads may cost each worker
PLACE = "disk"
LONG_LINE = get(f"/?{'x' * 7_000}")


def unread_output(served: Served) -> None:
    """Standard output is a pipe that nobody reads."""
    served.stdout = served.unread()


def unread_errors(served: Served) -> None:
    served.stderr = served.unread()


def ask_quickly(scene: Scene) -> None:
    """Many long lines of log, and what they cost in memory."""
    before = process.cost(scene.served.pid).rss_mib
    with scene.nuisance(LONG_LINE, clients=2):
        for _ in scene.every(1.0):
            pass
    grown = process.cost(scene.served.pid).rss_mib - before
    scene.note(f"memory +{grown:.0f} MiB")
    if grown > MEMORY * scene.fault.wish.workers:
        scene.miss(f"the log takes {grown:.0f} MiB of memory")


def fail_often(scene: Scene) -> None:
    with scene.load(clients=2, source=failures):
        for _ in scene.every(1.0):
            pass


def failures(number: int) -> Iterator[Question]:
    """Requests whose right answer is an error, with a traceback in the log."""
    while True:
        yield get("/fail", status=500)


def small_disk(served: Served) -> None:
    """A file system of 64 KiB for everything the server writes."""
    place = served.folder / PLACE
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "chaos", place], check=True)
    served.at_end(lambda: subprocess.run(["umount", "--lazy", place], check=True))
    served.log = place / "server.log"
    served.wish = Wish(access_log=str(place / "access.log"))


def no_mount() -> str | None:
    return None if os.geteuid() == 0 else "only root can mount a small file system"


def fill_the_disk(scene: Scene) -> None:
    """Full for a second, free for a second."""
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
        scene.miss(f"{glued} lines of the log are glued together")
    if not lines:
        scene.miss("nothing is logged once there is room again")


@contextlib.contextmanager
def full(place: Path) -> Iterator[None]:
    """No room in the file system of `place`."""
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
        "nobody reads standard output, where the access log goes",
        ask_quickly,
        prepare=unread_output,
        wish=Wish(access_log="-"),
        seconds=4,
    ),
    Fault(
        "unread-stderr",
        "nobody reads standard error, and two clients ask for a view that fails",
        fail_often,
        prepare=unread_errors,
        seconds=4,
    ),
    Fault(
        "full-disk",
        f"the {DISK} of disk for the logs are full, and free, every second",
        fill_the_disk,
        prepare=small_disk,
        absent=no_mount,
    ),
    Fault(
        "descriptors",
        f"{2 * DESCRIPTORS} idle connections, {DESCRIPTORS} descriptors for one process",
        use_up_descriptors,
        prepare=few_descriptors,
        wish=Wish(workers=1, threads=8),
        clients=4,
        down=HELD + 2,
    ),
]
