"""The worker that the supervisor elects to run jobs at intervals."""

from __future__ import annotations

from carboy.server.processes.election import Election, choice
from carboy.server.processes.generations import Member, State


class Link:
    """Keeps what is told to a worker."""

    def __init__(self) -> None:
        self.told: list[bool] = []

    def tell(self, elected: bool) -> None:
        self.told.append(elected)


def member(number: int, state: State = State.SERVING, generation: int = 0) -> Member:
    return Member(number, float(number), generation, state)


def test_the_oldest_worker_with_the_newest_code_is_elected() -> None:
    assert choice([member(1), member(3, generation=1), member(2, generation=1)], 0) == 2


def test_a_worker_stays_elected_while_it_serves() -> None:
    assert choice([member(1), member(2, generation=1)], 1) == 1


def test_a_worker_that_starts_or_stops_is_not_elected() -> None:
    workers = [member(1, State.STOPPING), member(2), member(3, State.STARTING, 1)]
    assert choice(workers, 1) == 2
    assert choice([member(1, State.STARTING)], 0) == 0


def test_workers_learn_that_they_are_elected_and_that_they_no_longer_are() -> None:
    links = {1: Link(), 2: Link()}
    election, workers = Election(), [member(1), member(2)]
    for _ in range(2):
        election.look(workers, links)  # type: ignore[arg-type]
    assert (links[1].told, links[2].told) == ([True], [])
    workers[0].state = State.STOPPING
    election.look(workers, links)  # type: ignore[arg-type]
    assert (links[1].told, links[2].told) == ([True, False], [True])
    del links[2], workers[1]  # it has crashed
    election.look(workers, links)  # type: ignore[arg-type]
    assert election.elected == 0
