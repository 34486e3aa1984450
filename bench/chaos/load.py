"""Clients that send requests concurrently until they are stopped."""

from __future__ import annotations

import threading

from bench.chaos import questions
from bench.chaos.client import PATIENCE, Address, Client
from bench.chaos.ledger import Ledger, Outcome
from bench.chaos.questions import Source

PAUSE = 0.008
"""Seconds between a response and the next request of a client, for a light load."""
AFTER_REFUSAL = 0.05


class Load:
    """Verified load, as a context manager. After it, every request has an outcome."""

    def __init__(
        self,
        address: Address,
        ledger: Ledger,
        *,
        clients: int = 8,
        source: Source = questions.mixed,
        pause: float = PAUSE,
        keep: bool = True,
        patience: float = PATIENCE,
    ) -> None:
        self.address = address
        self.ledger = ledger
        self.source = source
        self.pause = pause
        self.keep = keep
        self.patience = patience
        self._enough = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,), daemon=True)
            for number in range(clients)
        ]

    def _ask(self, number: int) -> None:
        client = Client(self.address, self.ledger, keep=self.keep, patience=self.patience)
        for question in self.source(number):
            outcome = client.ask(question)
            wait = self.pause if outcome is Outcome.RIGHT else max(self.pause, AFTER_REFUSAL)
            if self._enough.wait(wait):
                break
        client.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def finish(self) -> None:
        """Send no more requests. Returns immediately."""
        self._enough.set()

    def __exit__(self, *exc: object) -> None:
        self.finish()
        for thread in self._threads:
            thread.join()
