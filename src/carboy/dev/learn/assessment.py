"""The progress of a learner, and the findings in newly recorded connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from carboy.dev.learn.course import EXERCISES
from carboy.dev.learn.exchanges import Exchange, Seen, all_of
from carboy.dev.learn.exercise import Exercise, Question, Verdict, is_right
from carboy.dev.learn.problems import problem_of

Saved = dict[str, dict[str, list[int]]]
GOALS, QUESTIONS = "goals", "questions"


@dataclass(slots=True)
class Progress:
    """The numbers of the goals and questions that are done, by the key of the exercise."""

    goals: dict[str, set[int]] = field(default_factory=dict)
    questions: dict[str, set[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, saved: object) -> Progress:
        """The progress that was saved; parts that the course does not have are left out."""
        found = cls()
        if not isinstance(saved, Mapping):
            return found
        for exercise in EXERCISES:
            entry = saved.get(exercise.key)
            if isinstance(entry, Mapping):
                found.goals[exercise.key] = _numbers(entry.get(GOALS), len(exercise.goals))
                found.questions[exercise.key] = _numbers(
                    entry.get(QUESTIONS), len(exercise.questions)
                )
        return found

    def add(self, other: Progress) -> None:
        """Add what is done in another course of the same learner."""
        for mine, theirs in ((self.goals, other.goals), (self.questions, other.questions)):
            for key, numbers in theirs.items():
                mine.setdefault(key, set()).update(numbers)

    def to_save(self) -> Saved:
        """Values for JSON."""
        keys = [each.key for each in EXERCISES if self.goals.get(each.key)]
        return {
            key: {
                GOALS: sorted(self.goals[key]),
                QUESTIONS: sorted(self.questions.get(key, set())),
            }
            for key in keys
        }

    def goals_of(self, exercise: Exercise) -> set[int]:
        """The goals that are reached."""
        return self.goals.setdefault(exercise.key, set())

    def questions_of(self, exercise: Exercise) -> set[int]:
        """The questions that are answered."""
        return self.questions.setdefault(exercise.key, set())

    def is_done(self, exercise: Exercise) -> bool:
        """Whether all goals are reached and all questions are answered."""
        return len(self.goals_of(exercise)) == len(exercise.goals) and len(
            self.questions_of(exercise)
        ) == len(exercise.questions)

    def is_begun(self, exercise: Exercise) -> bool:
        """Whether a goal is reached."""
        return bool(self.goals_of(exercise))


def _numbers(saved: object, count: int) -> set[int]:
    if not isinstance(saved, list):
        return set()
    return {each for each in saved if type(each) is int and 0 <= each < count}


@dataclass(frozen=True, slots=True)
class Finding:
    """New exchanges: goals that are reached now, and a hint for the next goal."""

    exchanges: tuple[Exchange, ...]
    reached: tuple[tuple[int, str], ...]  # number of the goal, text
    hint: tuple[int, str] | None


class Assessment:
    """One exercise while it is being done."""

    def __init__(self, exercise: Exercise, progress: Progress) -> None:
        self.exercise = exercise
        self._progress = progress
        self._seen: Sequence[Seen] = ()
        self._shown: set[tuple[int, int]] = set()  # connection and offset of the exchanges

    def look(self, seen: Sequence[Seen]) -> Finding | None:
        """The finding in the connections since the exercise was begun; None if nothing is new."""
        self._seen = seen
        new = tuple(
            each
            for each in all_of(seen)
            if each.is_over and (each.connection, each.first) not in self._shown
        )
        self._shown.update((each.connection, each.first) for each in new)
        reached, hint = [], None
        done = self._progress.goals_of(self.exercise)
        for number, verdict in self.verdicts(seen):
            if verdict.reached:
                done.add(number)
                reached.append((number, verdict.text))
            elif hint is None:
                hint = number, verdict.text
        if not new and not reached:
            return None
        if new and hint is None and (problem := problem_of(new[-1])):
            hint = len(self.exercise.goals) - 1, problem
        return Finding(new, tuple(reached), hint)

    def verdicts(self, seen: Sequence[Seen]) -> list[tuple[int, Verdict]]:
        """The goals that have not been reached before, each with its verdict."""
        done = self._progress.goals_of(self.exercise)
        return [
            (number, goal.check(seen))
            for number, goal in enumerate(self.exercise.goals)
            if number not in done
        ]

    def question(self) -> tuple[int, Question] | None:
        """The next question, once all goals are reached."""
        if len(self._progress.goals_of(self.exercise)) < len(self.exercise.goals):
            return None
        answered = self._progress.questions_of(self.exercise)
        for number, question in enumerate(self.exercise.questions):
            if number not in answered:
                return number, question
        return None

    def answer(self, number: int, text: str) -> Verdict:
        """Compare an answer with the recording."""
        found = self.exercise.questions[number].find(self._seen)
        if found is None:
            return Verdict(
                False, "The answer is in a request that was sent before. Send such a request again."
            )
        right, why = found
        if is_right(text, right):
            self._progress.questions_of(self.exercise).add(number)
            return Verdict(True, f"Right: {right}. {why}")
        return Verdict(False, "That is not what was recorded. Look at the steps of your request.")
