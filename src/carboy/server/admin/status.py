"""GET /status: the server, its workers, and the requests that they run.

A worker that does not answer is described by what shared memory has: its figures, and the requests
on its threads.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from carboy import __version__
from carboy.server.admin.call import Answer, Ask, Call, Reply, Steps
from carboy.server.admin.operations import About, Operations, WorkerFacts

LONGEST = 60.0  # seconds that a request may have its workers be waited for


def server(call: Call, operations: Operations) -> Reply:
    """GET /server: what is known without asking a worker."""
    return Reply(described(operations.about()))


def status(call: Call, operations: Operations) -> Steps:
    """GET /status: the server, and what each worker does. `seconds`: time limit for workers."""
    seconds = call.number("seconds", 2.0, LONGEST)
    answers = yield Ask("status", seconds=seconds)
    workers = [described_worker(each, answers.get(each.pid)) for each in operations.workers()]
    return Reply({"server": described(operations.about()), "workers": workers})


def described(about: About) -> dict[str, Any]:
    """The server, for JSON."""
    return {"carboy": __version__, "state": _state(about), **asdict(about)}


def _state(about: About) -> str:
    if about.stopping:
        return "stopping"
    if about.draining:
        return "about to stop"
    return "serving" if about.ever_ready else "starting"


def described_worker(facts: WorkerFacts, answer: Answer | None) -> dict[str, Any]:
    """A worker, for JSON."""
    found = asdict(facts)
    lines = found.pop("requests")
    found["answers"] = answer is not None and not answer.failure
    if answer is not None and not answer.failure:
        return {**found, **answer.value}
    found["failure"] = answer.failure if answer else ""
    # The threads of these are not known; the leader may run the one that was read last.
    found["requests"] = [
        {"request": line, "state": "running", "seconds": round(seconds, 3), "at": None}
        for line, seconds in lines
    ]
    return found
