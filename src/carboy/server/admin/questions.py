"""Questions to workers: each has an id, the workers that have not answered, and a time limit.

A worker that does not answer in time is no longer waited for. Only the thread of the admin
server calls this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from carboy.server.admin.call import Answer, Answers, Ask
from carboy.server.admin.operations import Operations
from carboy.server.dataclass import dataclass
from carboy.server.processes.messages import Message

NEVER = float("inf")
LOADS = "It loads the application."
ENDED = "It has ended."
GONE = "There is no such worker."


@dataclass(slots=True)
class _Pending:
    waits_for: set[int]
    due: float
    seconds: float
    then: Callable[[Answers], object]
    answers: Answers = field(default_factory=dict)


class Questions:
    """The questions that have not been answered by all workers."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._pending: dict[int, _Pending] = {}
        self._last = 0

    def ask(self, ask: Ask, then: Callable[[Answers], object], now: float) -> int:
        """Ask, and call `then` with the answers; returns the number of the question.

        `then` is called later, by `answered`, `ended` or `look`.
        """
        facts = {each.pid: each for each in self._operations.workers()}
        wanted = facts if ask.workers is None else ask.workers
        pending = _Pending(set(), now + ask.seconds, ask.seconds, then)
        self._last += 1
        self._pending[self._last] = pending
        for worker in wanted:
            known = facts.get(worker)
            if known is None or not known.asked:
                why = GONE if known is None else LOADS
                pending.answers[worker] = Answer(worker, failure=why)
                continue
            pending.waits_for.add(worker)
            self._operations.tell(worker, {**ask.values, "ask": ask.question, "id": self._last})
        if not pending.waits_for and pending.answers:
            pending.due = now  # but a question to no worker at all is a pause
        return self._last

    def forget(self, number: int) -> None:
        """Wait for the answers no longer; the workers learn that they need not."""
        pending = self._pending.pop(number, None)
        for worker in pending.waits_for if pending else ():
            self._operations.tell(worker, {"ask": "cancel", "id": 0, "cancel": number})

    def answered(self, worker: int, message: Message) -> None:
        """A worker has answered; an answer that comes too late is discarded."""
        pending = self._pending.get(message["answer"])
        if pending is not None and worker in pending.waits_for:
            answer = Answer(worker, message.get("value"), message.get("failure", ""))
            self._note(message["answer"], pending, answer)

    def ended(self, worker: int) -> None:
        """A worker has ended, so it answers nothing more."""
        for number, pending in list(self._pending.items()):
            if worker in pending.waits_for:
                self._note(number, pending, Answer(worker, failure=ENDED))

    def _note(self, number: int, pending: _Pending, answer: Answer) -> None:
        pending.waits_for.discard(answer.worker)
        pending.answers[answer.worker] = answer
        if not pending.waits_for and number in self._pending:
            del self._pending[number]
            pending.then(pending.answers)

    def look(self, now: float) -> float:
        """Give up the questions that are overdue; returns when the next one is."""
        for number, pending in list(self._pending.items()):
            if now >= pending.due and number in self._pending:
                for worker in pending.waits_for:
                    text = f"It has not answered within {pending.seconds:g} s."
                    pending.answers[worker] = Answer(worker, failure=text)
                self.forget(number)
                pending.then(pending.answers)
        return min((each.due for each in self._pending.values()), default=NEVER)
