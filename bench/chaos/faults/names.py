"""Name servers do not answer, while the server has names in its options."""

from __future__ import annotations

import signal
import socket

from bench.chaos import questions
from bench.chaos.fault import Fault, Scene
from bench.chaos.faults.draining import note_refusals
from bench.chaos.faults.reloads import renewed
from bench.chaos.faults.shortage import no_mount
from bench.chaos.servers import Served, Setup

RESOLVER = "127.0.0.99"  # an unused address of this machine
OPTIONS = (
    "--statsd", "metrics.chaos.example:8125",
    "--channels", "redis://redis.chaos.example:6379?when_down=buffer",
)  # fmt: skip
MOUNT = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
PATIENCE = 60.0


def silent_resolver(served: Served) -> None:
    """Give the server a name server that receives questions and does not answer."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((RESOLVER, 53))
    served.at_end(listener.close)
    file = served.folder / "resolv.conf"
    file.write_text(f"nameserver {RESOLVER}\n")
    served.prefix = ["unshare", "--mount", "sh", "-c", MOUNT, str(file)]


def publish(scene: Scene) -> None:
    """Use what needs the names, and reload."""
    for number in scene.every(2.0):
        for one in range(4):
            scene.aside(questions.get(f"/announce/{number}-{one}"), PATIENCE)
    before = set(scene.served.workers())
    scene.served.signal(signal.SIGHUP)
    scene.until(renewed(scene, before), PATIENCE, "a reload has not ended")
    note_refusals(scene)


FAULTS = [
    Fault(
        "names",
        "name servers do not answer; --statsd and --channels have names",
        publish,
        prepare=silent_resolver,
        setup=Setup(target="bench.chaos.on_carboy_channels:app", options={"carboy": OPTIONS}),
        servers=("carboy",),
        seconds=8,
        missing=no_mount,
    ),
]
