"""Questions that a worker answers, and those whose client has gone."""

from __future__ import annotations

import threading
from typing import Any

from carboy.server.admin.answering import Answering

PATIENCE = 60.0


def test_a_question_on_a_thread_learns_that_its_client_has_gone() -> None:
    answering = Answering()
    begun, answered = threading.Event(), threading.Event()

    def question(message: Any) -> str:
        begun.set()
        while not answering.is_cancelled(message["id"]):
            threading.Event().wait(0.001)
        return "cancelled"

    answers: list[Any] = []
    answering.add("long", question, takes_long=True)
    answering.take({"ask": "long", "id": 7}, lambda each: (answers.append(each), answered.set()))
    assert begun.wait(PATIENCE)
    assert not answering.is_cancelled(7)
    answering.take({"ask": "cancel", "id": 0, "cancel": 7}, answers.append)
    assert answered.wait(PATIENCE)
    assert answers == [{"answer": 7, "value": "cancelled"}]


def test_nothing_is_kept_of_a_question_whose_client_has_gone_after_the_answer() -> None:
    answering = Answering()
    ended = threading.Semaphore(0)
    answering.add("quick", lambda message: 1)
    answering.add("long", lambda message: 1, takes_long=True)
    before = {each.ident for each in threading.enumerate()}
    for number in range(1, 9):
        name = "long" if number % 2 else "quick"
        answering.take({"ask": name, "id": number}, lambda answer: ended.release())
        assert ended.acquire(timeout=PATIENCE)
        for thread in threading.enumerate():
            if thread.ident not in before:
                thread.join(PATIENCE)
        answering.take({"ask": "cancel", "id": 0, "cancel": number}, ended.release)
        assert not answering.is_cancelled(number)
    assert not answering._running
