"""Which worker runs the jobs at intervals: one of those that serve.

The supervisor tells a worker that it is elected, and that it no longer is when it has to stop, so
that another one takes over before the first has finished its requests. A worker that ends needs no
message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from carboy.server.processes.generations import Member, State
from carboy.server.processes.link import WorkerLink


class Election:
    """The worker that is elected; 0: none serves."""

    def __init__(self) -> None:
        self.elected = 0

    def look(self, members: Iterable[Member], links: Mapping[int, WorkerLink]) -> None:
        """Elect another worker if the elected one no longer serves."""
        chosen = choice(members, self.elected)
        if chosen == self.elected:
            return
        if before := links.get(self.elected):
            before.tell(elected=False)
        self.elected = chosen
        if chosen:
            links[chosen].tell(elected=True)


def choice(members: Iterable[Member], elected: int) -> int:
    """The worker to be elected: the same one while it serves, else the oldest with new code."""
    serving = [each for each in members if each.state is State.SERVING]
    if any(each.number == elected for each in serving):
        return elected
    best = min(serving, key=lambda each: (each.worn, -each.generation, each.born), default=None)
    return 0 if best is None else best.number
