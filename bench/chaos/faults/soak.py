"""A long run under mixed load, in which the memory of the workers has to stay flat.

python -m bench.chaos soak --minutes 60
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos import views
from bench.chaos.fault import Fault, Scene
from bench.chaos.ledger import Loss
from bench.chaos.load import Load
from bench.chaos.questions import HOST, Question, get, post
from bench.chaos.servers import Setup

EVERY = 5.0  # seconds between two looks at the memory
WARM = 0.25  # of the time, in which caches and pools fill
GROWTH = 0.05  # of its memory that a worker may have more at the end, by the slope
MORE = 8  # descriptors and threads that a worker may have more at the end
PIECES = 20
UPLOAD = 2_000_000  # bytes, more than a request body that is kept in memory
HOUR = 3600.0
MIB = 1024 * 1024


def soak(scene: Scene) -> None:
    """Look at the workers while all kinds of clients use the server."""
    samples: dict[int, Samples] = {}
    end = time.monotonic() + scene.seconds
    with (
        Load(scene.address, scene.ledger, clients=2, source=uploads, pause=0.5),
        Load(scene.address, scene.ledger, clients=2, source=streams, pause=0.3),
        Repeated(lambda chance: leave(scene, chance), 0.05),
        Repeated(lambda chance: talk(scene, chance), 0.05),
    ):
        while time.monotonic() < end:
            for pid in scene.served.workers():
                samples.setdefault(pid, Samples()).add(pid)
            time.sleep(EVERY)
    scene.injected.append(end)
    if len(samples) > scene.fault.setup.workers:
        scene.miss("workers were replaced")
    for pid, found in sorted(samples.items()):
        found.judge(scene, pid)


@dataclass
class Samples:
    """The memory, descriptors and threads of one worker."""

    times: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)  # bytes
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def add(self, pid: int) -> None:
        with contextlib.suppress(OSError):  # the worker has ended
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            self.descriptors.append(len(os.listdir(f"/proc/{pid}/fd")))
            self.threads.append(len(os.listdir(f"/proc/{pid}/task")))
            self.memory.append(pages * os.sysconf("SC_PAGE_SIZE"))
            self.times.append(time.monotonic())

    def judge(self, scene: Scene, pid: int) -> None:
        """Note the slope after the warm-up, and compare it with the goal."""
        first = round(len(self.times) * WARM)
        times, memory = self.times[first:], self.memory[first:]
        if len(times) < 3:
            scene.miss(f"worker {pid} was seen only {len(times)} times after the warm-up")
            return
        per_second = slope(times, memory)
        grown = per_second * (times[-1] - times[0])
        quarters = [self.memory[(len(self.memory) - 1) * part // 4] / MIB for part in range(5)]
        scene.note(
            f"worker {pid}: {', '.join(f'{each:.1f}' for each in quarters)} MiB at each quarter of"
            f" {times[-1] - self.times[0]:.0f} s; slope {per_second * HOUR / MIB:+.2f} MiB/h;"
            f" descriptors {self.descriptors[first]} to {self.descriptors[-1]},"
            f" threads {self.threads[first]} to {self.threads[-1]}"
        )
        if grown > GROWTH * memory[0]:
            scene.miss(f"the memory of worker {pid} grows by {grown / MIB:.1f} MiB")
        for name, counts in (("descriptors", self.descriptors), ("threads", self.threads)):
            if min(counts[-3:]) > max(counts[first : first + 3]) + MORE:
                scene.miss(f"worker {pid} has more and more {name}")


def slope(times: list[float], values: list[float]) -> float:
    """The change of the values in a unit of time, by least squares."""
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    both = sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True))
    return both / spread if spread else 0.0


def uploads(number: int) -> Iterator[Question]:
    chance = random.Random(number)
    while True:
        content = chance.randbytes(chance.randrange(1, UPLOAD))
        yield post("/reverse", content, content[::-1])


def streams(number: int) -> Iterator[Question]:
    while True:
        yield get(f"/stream/{PIECES}", views.PIECE * PIECES)


def leave(scene: Scene, chance: random.Random) -> None:
    """A client that sends a part of a request, or reads a part of a response, and resets."""
    whole = chance.choice(
        [
            get("/").request,
            get(f"/stream/{PIECES}").request,
            get("/wait/1").request,
            post("/reverse", bytes(100_000), b"").request,
        ]
    )
    with contextlib.suppress(OSError), socket.create_connection(scene.address, 5) as client:
        client.sendall(whole[: chance.randrange(1, len(whole) + 1)])
        client.settimeout(chance.choice((0.001, 0.02)))
        with contextlib.suppress(OSError):
            client.recv(chance.choice((1, 100_000)))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def talk(scene: Scene, chance: random.Random) -> None:
    """A WebSocket with some messages; one in four clients disappears without a close frame."""
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    scene.ledger.asked()
    sent = time.monotonic()
    try:
        client = connect(f"ws://{scene.address[0]}:{scene.address[1]}/echo", origin=None,
                         additional_headers={"X-Host": HOST}, close_timeout=10)  # fmt: skip
        for _ in range(chance.randrange(1, 10)):
            message = chance.randbytes(chance.choice((1, 100, 10_000)))
            client.send(message)
            if client.recv(timeout=10) != message:
                raise ValueError("different message")
        if chance.random() < 0.25:
            client.socket.shutdown(socket.SHUT_RDWR)
        client.close()
    except (OSError, ValueError, WebSocketException) as error:
        scene.ledger.was_lost(Loss(sent, time.monotonic(), f"WebSocket: {error!r}", cut=True))
        return
    scene.ledger.was_right(time.monotonic() - sent)


class Repeated:
    """A thread that does something again and again; a context manager."""

    def __init__(self, do: Callable[[random.Random], None], pause: float) -> None:
        self._do = do
        self._pause = pause
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        chance = random.Random(self._pause)
        while not self._enough.wait(self._pause):
            self._do(chance)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._enough.set()
        self._thread.join()


FAULTS = [
    Fault(
        "soak",
        "requests, uploads, streams, WebSockets and clients that leave, for a long time",
        soak,
        setup=Setup(target="bench.chaos.on_carboy_websocket:app"),
        servers=("carboy",),
        seconds=600,
        only_by_name=True,
    )
]
