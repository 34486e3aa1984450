"""The balance between worker processes."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from bench.chaos.client import Client
from bench.chaos.fault import Fault, Scene
from bench.chaos.questions import get
from bench.chaos.servers import Setup

WORKERS = 4
CONNECTIONS = 64
UNEVEN = 0.2  # how far the share of a worker may be from an even one
NAPS = 12
NAP = 0.5


def spread_connections(scene: Scene) -> None:
    """Open keep-alive connections, 10 ms apart."""
    even = CONNECTIONS / WORKERS
    for _ in scene.every(1.0):
        clients = [Client(scene.address, scene.ledger) for _ in range(CONNECTIONS)]
        served: Counter[str] = Counter()
        for client in clients:
            served[client.fetch(get("/pid"))] += 1
            time.sleep(0.01)
        shares = sorted([*served.values(), *[0] * (WORKERS - len(served))], reverse=True)
        scene.note(", ".join(map(str, shares)))
        if any(abs(share - even) > even * UNEVEN for share in shares):
            scene.miss(
                f"a worker has a share that differs by more than {UNEVEN:.0%} from an even one"
            )
        for client in clients:
            client.close()


def spread_naps(scene: Scene) -> None:
    """Send simultaneous requests to workers that handle one at a time."""
    most = (NAPS / WORKERS + 1) * NAP + NAP / 2
    question = get(f"/sleep/{NAP}", f"slept {NAP}".encode())
    for _ in scene.every(1.0):
        begin = time.monotonic()
        with ThreadPoolExecutor(NAPS) as clients:
            list(clients.map(scene.once, [question] * NAPS))
        took = time.monotonic() - begin
        scene.note(f"{took:.1f} s")
        if took > most:
            scene.miss(f"{NAPS} requests of {NAP} s take {took:.1f} s")


FAULTS = [
    Fault(
        "connections",
        f"{CONNECTIONS} keep-alive connections, opened 10 ms apart, to {WORKERS} workers",
        spread_connections,
        setup=Setup(workers=WORKERS),
        probed=False,
        seconds=5,
    ),
    Fault(
        "naps",
        f"{NAPS} simultaneous requests of {NAP} s to {WORKERS} workers with one thread each",
        spread_naps,
        setup=Setup(workers=WORKERS, threads=1),
        probed=False,
        seconds=5,
    ),
]
