"""GET /stacks: the threads of the workers, each with its request and its calls.

A worker that runs no Python code cannot answer. A signal handler in C writes its stacks then, as
for one that is stuck (processes/stacks.py).
"""

from __future__ import annotations

from typing import Any

from carboy.server.admin.call import Answer, Ask, Call, Refused, Reply, Steps
from carboy.server.admin.operations import Operations, WorkerFacts
from carboy.server.processes.stuck import LONGEST_BEAT

HELD = 2 * LONGEST_BEAT + 0.5  # seconds without a sign of life after which the signal is sent
WRITES = 1.0  # seconds for the handler of the signal


def stacks(call: Call, operations: Operations) -> Steps:
    """The stacks of all workers, or of the one with `pid`."""
    facts = {each.pid: each for each in operations.workers()}
    asked = facts
    if "pid" in call.query:
        pid = int(call.number("pid", 0, 1 << 31))
        if pid not in facts:
            known = ", ".join(map(str, sorted(facts))) or "none"
            raise Refused(404, f"There is no worker {pid}. The workers are {known}.")
        asked = {pid: facts[pid]}
    seconds = call.number("seconds", 2.0, 60.0)
    answers = yield Ask("stacks", workers=tuple(asked), seconds=seconds)
    silent = [pid for pid in asked if answers[pid].failure and _is_held(operations, pid)]
    for pid in silent:
        operations.ask_for_stacks(pid)
    if silent:
        yield Ask("", workers=(), seconds=WRITES)
    written = {pid: operations.take_stacks(pid) for pid in silent}
    workers = [_of(asked[pid], answers[pid], written.get(pid, "")) for pid in asked]
    return Reply({"workers": workers})


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
