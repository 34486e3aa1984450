"""Each exercise of `carboy learn` with right and wrong requests, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from carboy.dev.learn.course import EXERCISES
from learning import Course, course

pytestmark = pytest.mark.xdist_group("learn")

NUMBERS = range(1, len(EXERCISES) + 1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    with course(tmp_path_factory.mktemp("data"), body_grace=0.2) as found:
        yield found


def send(running: Course, text: str, then: str) -> None:
    running.client.hang_up()
    running.type(text)
    if then == "2":
        running.client.send_at_once(running.typed(text), 2)
    elif then == ".":
        running.wait(lambda: running.response().status == 200)
        running.client.hang_up()


@pytest.mark.parametrize("number", NUMBERS, ids=[each.key for each in EXERCISES])
def test_the_examples_reach_all_goals_and_the_recording_has_the_answers(
    running: Course, number: int
) -> None:
    exercise = running.lessons.begin(number)
    done = running.lessons.progress.goals_of(exercise)
    for goal in range(len(exercise.goals)):
        example = running.lessons.example()
        assert example is not None
        send(running, *example)
        running.wait(lambda goal=goal: running.lessons.look() and False or goal in done)
    for question in range(len(exercise.questions)):
        assert running.lessons.question() == (question, exercise.questions[question].text)
        assert not running.lessons.answer(question, "nonsense").reached
        right = exercise.questions[question].find(running.lessons.seen())
        assert right is not None
        verdict = running.lessons.answer(question, f" {right[0].upper()} ")
        assert verdict.reached, verdict.text
    assert running.lessons.is_done()
