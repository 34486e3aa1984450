"""GET /stacks: the threads of the workers, each with its request and its calls.

A worker that runs no Python code cannot answer. A signal handler in C writes its stacks then, as
for one that is stuck (processes/stacks.py).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from carboy.server.admin.call import Answer, Answers, Ask, Call, Refused, Reply, Steps
from carboy.server.admin.operations import Operations, WorkerFacts
from carboy.server.processes.stuck import LONGEST_BEAT

HELD = 2 * LONGEST_BEAT + 0.5  # seconds without a sign of life after which the signal is sent
WRITES = 1.0  # seconds for the handler of the signal


def stacks(call: Call, operations: Operations) -> Steps:
    """The stacks of all workers, or of the one with `pid`."""
    asked = asked_workers(call, operations)
    seconds = call.number("seconds", 2.0, 60.0)
    answers = yield Ask("stacks", workers=tuple(asked), seconds=seconds)
    written = yield from written_stacks(operations, answers)
    workers = [_of(asked[pid], answers[pid], written.get(pid, "")) for pid in asked]
    return Reply({"workers": workers})


def asked_workers(call: Call, operations: Operations) -> dict[int, WorkerFacts]:
    """All workers, or the one with `pid`, by number. Raises Refused if there is no such worker."""
    facts = {each.pid: each for each in operations.workers()}
    if "pid" not in call.query:
        return facts
    pid = int(call.number("pid", 0, 1 << 31))
    if pid not in facts:
        known = ", ".join(map(str, sorted(facts))) or "none"
        raise Refused(404, f"There is no worker {pid}. The workers are {known}.")
    return {pid: facts[pid]}


def written_stacks(
    operations: Operations, answers: Answers
) -> Generator[Ask, Answers, dict[int, str]]:
    """The stacks that workers write whose interpreter lock is held, so that they cannot answer."""
    silent = [
        each.worker for each in answers.values()
        if each.failure and _is_held(operations, each.worker)
    ]  # fmt: skip
    for pid in silent:
        operations.ask_for_stacks(pid)
    if silent:
        yield Ask("", workers=(), seconds=WRITES)
    return {pid: operations.take_stacks(pid) for pid in silent}


def _is_held(operations: Operations, pid: int) -> bool:
    """Whether the worker runs no Python code: its frames do not change while they are read."""
    silent = next((each.silent for each in operations.workers() if each.pid == pid), None)
    return silent is not None and silent > HELD


def _of(facts: WorkerFacts, answer: Answer, written: str) -> dict[str, Any]:
    """The stacks of one worker, for JSON."""
    found: dict[str, Any] = {"pid": facts.pid, "state": facts.state, "failure": answer.failure}
    found["threads"] = [] if answer.failure else answer.value
    if answer.failure:
        found["requests"] = [
            {"request": line, "seconds": round(seconds, 3)} for line, seconds in facts.requests
        ]
        found["last_read"] = facts.last_read
        found["text"] = written
    return found
