"""A worker's answers to the questions of the admin server.

A question comes to the thread of the link (`carboy-link`), which answers it at once if that is
quick. Otherwise another thread does, so that the worker can still be asked and stopped. Without a
supervisor, the thread of the admin server calls `take`.

Add a question to `questions_of_a_worker`. It is a function that gets the message, and returns what
JSON can have.
"""

from __future__ import annotations

import gc
import logging
import platform
import threading
from collections.abc import Callable
from typing import Any

from carboy.server.admin import memory, top
from carboy.server.admin.call import CannotAnswer
from carboy.server.admin.commands import Levels
from carboy.server.admin.jobs import shown_jobs
from carboy.server.admin.memory_trace import Traces
from carboy.server.admin.profile import Profiles
from carboy.server.admin.running import all_stacks, running_requests
from carboy.server.dataclass import dataclass
from carboy.server.engine import Engine
from carboy.server.metrics.worker import WorkerMetrics
from carboy.server.processes.messages import Message, TooLarge
from carboy.server.readiness import Readiness
from carboy.server.scoreboard import Figure

log = logging.getLogger("carboy.error")

Send = Callable[[Message], object]
Question = Callable[[Message], Any]


@dataclass(frozen=True, slots=True)
class _Known:
    question: Question
    takes_long: bool


class Answering:
    """The questions that a worker can answer."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        # Questions on threads of their own, by number; set: the client has gone.
        self._running: dict[int, threading.Event] = {}

    def add(self, name: str, question: Question, takes_long: bool = False) -> None:
        """Answer questions of this name; `takes_long`: on a thread of its own."""
        self._known[name] = _Known(question, takes_long)

    def take(self, message: Message, send: Send) -> None:
        """Answer a question now, or have it answered. Never raises."""
        name, number = message["ask"], message["id"]
        if name == "cancel":
            # The answer may be on its way already; then there is nothing to end.
            running = self._running.get(message["cancel"])
            if running is not None:
                running.set()
            return
        known = self._known.get(name)
        if known is None:
            send({"answer": number, "failure": f"This worker does not know {name!r}."})
        elif known.takes_long:
            self._running[number] = threading.Event()
            try:
                threading.Thread(
                    target=self._answer, args=(known.question, message, send),
                    name="carboy-admin", daemon=True,
                ).start()  # fmt: skip
            except (RuntimeError, MemoryError):
                del self._running[number]
                send({"answer": number, "failure": "No thread can be started."})
        else:
            self._answer(known.question, message, send)

    def _answer(self, question: Question, message: Message, send: Send) -> None:
        number = message["id"]
        try:
            send({"answer": number, "value": question(message)})
        except (CannotAnswer, TooLarge) as problem:
            send({"answer": number, "failure": str(problem)})
        except Exception as error:
            log.exception("A question of the admin server could not be answered.")
            send({"answer": number, "failure": f"{type(error).__name__}. See the log."})
        finally:
            self._running.pop(number, None)

    def is_cancelled(self, number: int) -> bool:
        """Whether the client of a question that is being answered has gone; from any thread."""
        running = self._running.get(number)
        return running is not None and running.is_set()


def questions_of_a_worker(
    engine: Engine, metrics: WorkerMetrics | None, readiness: Readiness
) -> Answering:
    """All questions that a worker answers."""
    answering = Answering()
    answering.add("status", lambda message: status(engine))
    answering.add("top", top.answer(metrics, lambda: status(engine)), takes_long=True)
    answering.add("stacks", lambda message: all_stacks())
    answering.add("log-level", Levels().answer)
    if metrics is not None:
        answering.add("metrics", metrics.answer, takes_long=True)
    answering.add("memory", memory.answer, takes_long=True)
    answering.add("trace", Traces(engine, answering.is_cancelled).answer, takes_long=True)
    answering.add("profile", Profiles(engine, answering.is_cancelled).answer, takes_long=True)
    answering.add("ready", lambda message: readiness.reasons())
    return answering


def status(engine: Engine) -> dict[str, Any]:
    """The state of a worker now: requests, threads, memory."""
    crew = engine.crew
    return {
        "requests": running_requests(engine),
        **shown_jobs(),
        "threads": crew.threads,
        "threads_busy": crew.away + len(crew.current.slot),
        "threads_of_process": threading.active_count(),
        "connections": len(engine.connections),
        "busy": int(engine.row.cells[Figure.BUSY]),
        "python": platform.python_version(),
        "collections": [each["collections"] for each in gc.get_stats()],
    }
