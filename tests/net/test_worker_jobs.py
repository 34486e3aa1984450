"""Jobs of a worker: who runs those at intervals, and what is shown of them."""

from __future__ import annotations

import threading

from carboy.net.worker_jobs import JobState, WorkerJobs
from running import PATIENCE


def followed(jobs: WorkerJobs) -> list[str]:
    seen: list[str] = []
    jobs.when_elected(
        lambda: seen.append("begin"), lambda: seen.append("end"), lambda: [("clean", 60.0, 5.0)]
    )
    return seen


def test_a_process_without_a_supervisor_runs_jobs_at_intervals_at_once() -> None:
    assert followed(WorkerJobs()) == ["begin"]


def test_a_process_below_a_supervisor_begins_when_it_is_elected() -> None:
    jobs = WorkerJobs()
    jobs.elect(False)
    seen = followed(jobs)
    assert seen == [] and jobs.shown() == []
    jobs.elect(True)
    jobs.elect(True)
    assert seen == ["begin"]
    (planned,) = jobs.shown()
    assert (planned.name, planned.state, planned.next_in) == ("clean", JobState.PLANNED, 5.0)
    jobs.elect(False)
    assert seen == ["begin", "end"] and jobs.shown() == []


def test_a_drain_ends_what_the_election_has_begun() -> None:
    jobs = WorkerJobs()
    seen = followed(jobs)
    assert jobs.drain(PATIENCE) == []
    jobs.elect(True)
    assert seen == ["begin", "end"]


def test_jobs_that_run_and_jobs_that_wait_are_shown() -> None:
    jobs = WorkerJobs()
    runs, go = threading.Semaphore(0), threading.Event()

    def job() -> None:
        runs.release()
        assert go.wait(PATIENCE)

    for number in range(8):
        jobs.submit(f"job {number}", job)
    for _ in range(8):
        assert runs.acquire(timeout=PATIENCE)
    jobs.submit("late", go.wait)
    token = object()
    jobs.began(token, "coroutine")
    shown = {each.name: each for each in jobs.shown()}
    assert shown["late"].state is JobState.WAITING
    assert shown["coroutine"].thread is None
    running = [each for each in shown.values() if each.state is JobState.RUNNING]
    assert len(running) == 9 and all(each.age is not None for each in running)
    go.set()
    jobs.ended(token)
    assert jobs.drain(PATIENCE) == []
    assert jobs.shown() == []
