"""A worker that can be asked, and loads its answers (answering.py) with the first question.

Few workers are ever asked anything. One thread at a time calls `take`: that of the link, or that of
the admin server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from carboy.server.engine import Engine
from carboy.server.metrics.worker import WorkerMetrics
from carboy.server.readiness import Readiness

if TYPE_CHECKING:
    from carboy.server.admin.answering import Answering, Send
    from carboy.server.processes.messages import Message


class LateAnswering:
    """The questions of `questions_of_a_worker`."""

    def __init__(self, engine: Engine, metrics: WorkerMetrics | None, readiness: Readiness) -> None:
        self._of = engine, metrics, readiness
        self._answering: Answering | None = None

    def take(self, message: Message, send: Send) -> None:
        """Answer a question now, or have it answered. Never raises."""
        if self._answering is None:
            try:
                from carboy.server.admin.answering import questions_of_a_worker
            except (ImportError, OSError) as problem:  # no descriptor is left, for example
                failure = f"The answers of the worker cannot be loaded: {problem}."
                send({"answer": message["id"], "failure": failure})
                return
            self._answering = questions_of_a_worker(*self._of)
        self._answering.take(message, send)
