"""Questions of the admin server that a worker answers for some seconds, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from carboy.server.admin.call import CannotAnswer
from carboy.server.engine import Engine

GONE = "The client has gone."
STOPS = "The worker stops."


class Exclusive:
    """The turn of one question at a time; any thread may ask for it.

    `cancelled` says whether the client of the question with a number has gone. `refusal` is the
    answer to a question that comes while another one has the turn.
    """

    def __init__(self, engine: Engine, cancelled: Callable[[int], bool], refusal: str) -> None:
        self._engine = engine
        self._cancelled = cancelled
        self._refusal = refusal
        self._lock = threading.Lock()  # held by the question that has the turn

    @contextmanager
    def turn(self, number: int) -> Iterator[Callable[[], str]]:
        """The turn of a question: a function that says why it is to end now, or "".

        Raises CannotAnswer with the refusal.
        """
        if not self._lock.acquire(blocking=False):
            raise CannotAnswer(self._refusal)
        try:
            yield lambda: self._over(number)
        finally:
            self._lock.release()

    def _over(self, number: int) -> str:
        if self._cancelled(number):
            return GONE
        return STOPS if self._engine.stopping.asked is not None else ""
