"""GET /profile: what the workers do, sampled for some seconds.

    seconds   duration, 10 unless given      rate      samples in a second, 100 unless given
    pid       one worker only                threads   "all": also threads without a request
    timeout   seconds for the answers after that

A worker takes one profile at a time. It ends early if the client goes away or the worker stops. A
worker whose interpreter lock is held cannot answer; its stacks are written in C, as for
GET /stacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from carboy.server.admin.call import Answer, Ask, Call, Refused, Reply, Steps
from carboy.server.admin.call_tree import CallTree
from carboy.server.admin.exclusive import Exclusive
from carboy.server.admin.operations import Operations
from carboy.server.admin.sampling import WHOLE, sample
from carboy.server.admin.stacks import asked_workers, written_stacks
from carboy.server.engine import Engine
from carboy.server.processes.messages import Message

SECONDS, LONGEST = 10.0, 600.0
RATE, LARGEST_RATE = 100.0, 1000.0
RUNS_ALREADY = "A profile runs already. Wait until it has ended."


def profile(call: Call, operations: Operations) -> Steps:
    """The samples of all workers, or of the one with `pid`."""
    asked = asked_workers(call, operations)
    seconds = call.number("seconds", SECONDS, LONGEST)
    rate = call.number("rate", RATE, LARGEST_RATE)
    threads = call.query.get("threads", "")
    if rate < 1 or seconds <= 0:
        raise Refused(400, "rate must be at least 1, and seconds more than 0.")
    if threads not in ("", WHOLE):
        raise Refused(400, f"threads must be {WHOLE!r} or left out, not {threads!r}.")
    values = {"seconds": seconds, "rate": rate, "whole": threads == WHOLE}
    patience = call.number("timeout", 5.0, 60.0)
    answers = yield Ask("profile", values, tuple(asked), seconds + patience)
    if answers and all(each.failure == RUNS_ALREADY for each in answers.values()):
        raise Refused(409, RUNS_ALREADY)
    written = yield from written_stacks(operations, answers)
    return Reply({"workers": [_of(each, written) for each in answers.values()]})


def _of(answer: Answer, written: dict[int, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"pid": answer.worker, "failure": answer.failure}
    if answer.failure:
        found["text"] = written.get(answer.worker, "")
    else:
        found.update(answer.value)
    return found


class Profiles:
    """The answers of a worker to the question `profile`."""

    def __init__(self, engine: Engine, cancelled: Callable[[int], bool]) -> None:
        self._exclusive = Exclusive(engine, cancelled, RUNS_ALREADY)

    def answer(self, message: Message) -> dict[str, Any]:
        """Take the samples, on the thread that calls this."""
        with self._exclusive.turn(message["id"]) as over:
            tree = CallTree()
            facts = sample(tree, message["seconds"], message["rate"], message["whole"], over)
            return {**facts, **tree.answer()}
