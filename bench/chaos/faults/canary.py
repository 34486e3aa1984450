"""Reloads of code with a bad view: --canary rolls it back, and the next reload succeeds."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator

from bench.chaos import questions, views
from bench.chaos.fault import Fault, Scene
from bench.chaos.faults.killing import told
from bench.chaos.faults.reloads import renewed
from bench.chaos.ledger import Ledger, ways
from bench.chaos.load import Load
from bench.chaos.questions import Question, get
from bench.chaos.servers import Setup

SECONDS = 4
WORKERS = 2
PATIENCE = 40.0
FAILED = "wrong: status 500"
ROLLED_BACK = "The new code is rolled back."


def prices(number: int) -> Iterator[Question]:
    """Requests for the view that is broken in the new version."""
    chance = random.Random(number)
    while True:
        one = chance.randrange(10**9)
        yield get(f"/price/{one}", b"price %d" % one)


def reload_broken_code(scene: Scene) -> None:
    """Reload a version with a view that raises; then a good one."""
    for _ in scene.every(1.0):
        during = attempt(scene, views.BROKEN)
        failed = [loss for loss in during.losses if loss.how == FAILED]
        others = [loss for loss in during.losses if loss.how != FAILED]
        if others:
            scene.miss(f"lost while the broken code was tried: {ways(others)}")
        share = len(failed) / max(1, during.sent)
        scene.note(
            f"{len(failed)} of {during.sent} requests for the broken view failed ({share:.1%})"
        )
        # All old workers serve beside the new one, so it should get no more than its share.
        if share > 1.5 / (WORKERS + 1):
            scene.miss("the new worker got more than its share of the requests")
        reload_good_code(scene)


def reload_crashing_code(scene: Scene) -> None:
    """Reload a version with a view that kills its worker; then a good one."""
    for _ in scene.every(1.0):
        during = attempt(scene, views.CRASHING)
        scene.note(f"{during.lost} of {during.sent} requests for the view that crashes were cut")
        reload_good_code(scene)


def attempt(scene: Scene, what: str) -> Ledger:
    """Reload while the code is bad, until it has been rolled back; requests for its view."""
    before = scene.served.workers()
    many = rollbacks(scene)
    file = told(scene, what)
    during, after = Ledger(), Ledger()
    with Load(scene.address, during, clients=4, source=prices, keep=False):
        scene.served.signal(signal.SIGHUP)
        scene.until(lambda: rollbacks(scene) > many, PATIENCE, "the new code is not rolled back")
        same = scene.until(
            lambda: scene.served.workers() == before, PATIENCE, "the old workers are not alone"
        )
    if same:
        with Load(scene.address, after, clients=4, source=prices, keep=False):
            scene.until(lambda: after.right + after.lost >= 100, PATIENCE, "too few requests")
        if after.lost:
            scene.miss(f"lost after the code was rolled back: {ways(after.losses)}")
    file.unlink()
    return during


def rollbacks(scene: Scene) -> int:
    return scene.served.log.read_text(errors="replace").count(ROLLED_BACK)


def reload_good_code(scene: Scene) -> None:
    before = set(scene.served.workers())
    scene.served.signal(signal.SIGHUP)
    scene.until(renewed(scene, before), PATIENCE, "good code is not taken")


SETUP = Setup(workers=WORKERS, options={"carboy": ("--canary", str(SECONDS))})
FAULTS = [
    Fault(
        "canary",
        f"a reload of code with a view that raises; --canary {SECONDS}; then a reload of good code",
        reload_broken_code,
        setup=SETUP,
        servers=("carboy",),
        source=questions.posts,
        seconds=16,
    ),
    Fault(
        "canary-crash",
        "the same with a view that kills its worker",
        reload_crashing_code,
        setup=SETUP,
        servers=("carboy",),
        source=questions.posts,
        seconds=12,
        kills=True,
    ),
]
