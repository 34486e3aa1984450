"""How work is spread over worker processes."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from bench.chaos.client import Client
from bench.chaos.fault import Fault, Scene
from bench.chaos.questions import get
from bench.chaos.servers import Wish

WORKERS = 4
CONNECTIONS = 64
UNEVEN = 0.2  # how far from an even share a worker may be
NAPS = 12
NAP = 0.5


def spread_connections(scene: Scene) -> None:
    """Connections that are kept, 10 ms apart."""
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
            scene.miss(f"a worker is more than {UNEVEN:.0%} from an even share")
        for client in clients:
            client.close()


def spread_naps(scene: Scene) -> None:
    """Requests that come together where each worker takes one at a time."""
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
        f"{CONNECTIONS} kept connections, 10 ms apart, over {WORKERS} workers",
        spread_connections,
        wish=Wish(workers=WORKERS),
        probed=False,
        seconds=5,
    ),
    Fault(
        "naps",
        f"{NAPS} requests of {NAP} s at once, over {WORKERS} workers with one thread each",
        spread_naps,
        wish=Wish(workers=WORKERS, threads=1),
        probed=False,
        seconds=5,
    ),
]
