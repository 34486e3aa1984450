"""Reloads of a supervisor: from a new template with --preload, in one worker first with --canary.

    reload ──▶ with --preload: the new code is loaded in a template (preload.py)
           ──▶ with --canary: one worker tries the new code (canary.py decides)
           ──▶ the other workers are replaced (generations.py)

At each step, a failure keeps the old workers, and the old template with them.
"""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from carboy.server import systemd
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.processes.generations import Generations, Member, State
from carboy.server.processes.link import WorkerLink
from carboy.server.processes.purpose import Purpose
from carboy.server.scoreboard import Figure, Row, Scoreboard

if TYPE_CHECKING:
    from carboy.server.processes.canary import Canary, Verdict
    from carboy.server.processes.preload import Preload

log = logging.getLogger(ERROR_LOGGER)

NEVER = float("inf")
Links = Mapping[int, WorkerLink]


class Rollout:
    """The reloads of a supervisor.

    `seconds` is the time of a canary (0: there are none); `preload` is the start method, if it is
    that of --preload.
    """

    def __init__(
        self, generations: Generations, seconds: float = 0.0, preload: Preload | None = None
    ) -> None:
        self._generations = generations
        self._seconds = seconds
        self._preload = preload
        self._canary: Canary | None = None

    def start(
        self,
        selector: selectors.BaseSelector,
        scoreboard: Scoreboard,
        leave: Callable[[], object],
        beat: float,
    ) -> None:
        """Load the application in a template, if it is loaded before the workers start."""
        if self._preload is not None:
            self._preload.attach(selector, scoreboard, leave, beat)
            self._generations.can_start = False
            self._preload.begin(Purpose.FIRST)

    def reload(self, now: float) -> None:
        """Replace the workers by others with the code as it is now."""
        if self._preload is not None:
            self._preload.begin(Purpose.RELOAD)
        else:
            self._begin(now)

    def _begin(self, now: float) -> None:
        """Replace the workers, all or at first one."""
        generations = self._generations
        if self._canary is not None and self._canary.worker in generations.members:
            generations.wear(self._canary.worker)  # the code has changed again meanwhile
        generations.replace()
        self._canary = self._new_canary()
        generations.one_first = self._canary is not None

    def _new_canary(self) -> Canary | None:
        if not self._seconds:
            return None
        from carboy.server.processes.canary import Canary

        return Canary(self._seconds)

    def look(self, links: Links, now: float) -> bool:
        """Carry out what is due. False: the application could not be loaded at the start."""
        self._look_at_canary(links, now)
        if self._preload is None or self._generations.stopping:
            return True
        outcome = self._preload.look(now)
        self._generations.can_start = self._preload.can_start
        if outcome is None:
            return True
        if outcome.why:
            log.error("%s", outcome.why)
        if outcome.purpose is Purpose.RELOAD and not outcome.why:
            self._begin(now)
        elif outcome.purpose is Purpose.RELOAD:
            log.error("The workers are not replaced. The old ones continue to serve.")
            self._generations.replace()  # a reload that has failed before a worker was replaced
            self._generations.keep()
            systemd.notify("READY=1")  # the reload is over
        return outcome.purpose is not Purpose.FIRST or not outcome.why

    def wake_at(self) -> float:
        """When to look again even if nothing has happened."""
        canary = NEVER if self._canary is None else self._canary.wake_at()
        return canary if self._preload is None else min(canary, self._preload.wake_at())

    def replaced(self) -> None:
        """Note that all workers are new."""
        if self._preload is not None:
            self._preload.commit()

    def kept(self) -> None:
        """Note that the old workers are kept, because new ones could not start."""
        self._canary = None
        if self._preload is not None:
            self._preload.roll_back()

    def stop(self) -> None:
        """End the templates."""
        if self._preload is not None:
            self._preload.stop()

    # --- the canary

    def ready(self, worker: int, links: Links, now: float) -> None:
        """Note that a worker serves."""
        member = self._generations.members[worker]
        if self._canary is None or member.generation != self._generations.generation:
            return
        if not self._canary.worker:
            log.info("Worker %d tries the new code for %g s.", worker, self._seconds)
        others = {each: counts(link.row) for each, link in links.items() if each != worker}
        self._canary.ready(worker, others, now)

    def ended(self, member: Member, seen: tuple[int, int], now: float) -> None:
        """Note that a worker has ended; `seen` are its last counts."""
        if self._canary is not None:
            crashed = member.state is State.SERVING or member.given_up
            self._canary.ended(member.number, seen, crashed, now)

    def _look_at_canary(self, links: Links, now: float) -> None:
        if self._canary is None or self._generations.stopping:
            return
        seen = {worker: counts(link.row) for worker, link in links.items()}
        verdict = self._canary.verdict(seen, now)
        if verdict is None:
            return
        self._canary = None
        self._generations.one_first = False
        if verdict.good:
            log.info(
                "Worker %d has tried the new code: %s. The other workers are replaced.",
                verdict.worker, verdict.figures,
            )  # fmt: skip
        else:
            self._roll_back(verdict)

    def _roll_back(self, verdict: Verdict) -> None:
        log.error(
            "The new code is rolled back. Worker %d, which has tried it: %s. The old workers"
            " continue to serve.", verdict.worker, verdict.figures,
        )  # fmt: skip
        self._generations.keep()
        if verdict.worker in self._generations.members:
            self._generations.wear(verdict.worker)
        self.kept()
        systemd.notify("READY=1")  # the reload is over


def counts(row: Row) -> tuple[int, int]:
    """Requests and errors of a worker since its start."""
    return int(row.cells[Figure.REQUESTS]), int(row.cells[Figure.ERRORS])
