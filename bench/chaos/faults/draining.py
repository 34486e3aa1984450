"""Instances that are stopped one after the other, as Kubernetes does it with --drain-delay.

A balancer asks `/readyz` of two instances, and sends requests to those that are ready. SIGTERM
makes an instance say that it is not ready; it serves until the balancer knows, and then stops.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from bench.chaos import questions
from bench.chaos.fault import Fault, Scene
from bench.chaos.servers import Served, Setup

DELAY = 3
STOP_SECONDS = 20.0
READY = ("--livez", "/livez", "--readyz", "/readyz")


def restart_in_turn(scene: Scene) -> None:
    """Stop one instance, start it again and wait until it gets requests; then the next one."""
    for number in scene.every(1.0):
        served = scene.instances[number % len(scene.instances)]
        stop(scene, served)
        served.start()
        scene.until(used(scene, served), 20, "an instance gets no requests")

    note_refusals(scene)


def note_refusals(scene: Scene) -> None:
    """Count refused requests as a missed goal: another worker or instance could answer them."""
    if scene.ledger.refused:
        scene.miss(f"{scene.ledger.refused} requests were refused")


def stop(scene: Scene, served: Served) -> None:
    begin = time.monotonic()
    served.signal(signal.SIGTERM)
    code = served.wait(STOP_SECONDS)
    if code is None:
        scene.miss(f"an instance has not ended {STOP_SECONDS:g} s after SIGTERM")
        served.stop()
    elif code:
        scene.miss(f"an instance ended with {code} after SIGTERM")
    scene.endings.append(time.monotonic() - begin)


def used(scene: Scene, served: Served) -> Callable[[], bool]:
    """A function that says whether the balancer has sent a request to this instance."""
    workers = {str(pid) for pid in served.workers()}
    return lambda: scene.fetch("/pid") in workers


FAULTS = [
    Fault(
        f"drain-{proxy}",
        f"two instances are restarted in turn (SIGTERM, --drain-delay {DELAY}); a balancer that"
        f" asks for /readyz passes on {what}",
        restart_in_turn,
        setup=Setup(options={"carboy": ("--drain-delay", str(DELAY), *READY)}),
        servers=("carboy",),
        source=questions.posts,
        seconds=24,
        proxy=proxy,
        instances=2,
    )
    for proxy, what in (("ingress", "requests"), ("service", "connections"))
]
