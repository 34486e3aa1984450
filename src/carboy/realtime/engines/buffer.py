"""Messages that are kept while an engine is down (`?when_down=buffer`).

The messages are published in their order by a thread that lives until the buffer is empty. A
message that comes while others are kept is kept behind them. The lock guards the messages and
whether the thread runs; publishing happens without it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from carboy.realtime.engine import EngineError, Message
from carboy.realtime.engines.pauses import Pauses

__all__ = ["Buffer"]

log = logging.getLogger("carboy.error")


class Buffer:
    """Up to `size` messages; with 0, an engine that is down is an error."""

    def __init__(self, publish: Callable[[Message], Message], size: int, shown: str) -> None:
        self._publish = publish
        self._size = size
        self._shown = shown
        self._lock = threading.Lock()
        self._messages: deque[Message] = deque()
        self._running = False
        self._stopped = threading.Event()

    def publish(self, message: Message) -> Message:
        """Publish a message, or keep it. Raises EngineError if it cannot be kept."""
        with self._lock:
            if self._messages:
                self._keep(message)
                return message
        try:
            return self._publish(message)
        except EngineError:
            if not self._size:
                raise
            with self._lock:
                self._keep(message)
            return message

    def _keep(self, message: Message) -> None:
        """With the lock: add a message behind the others, and have them published."""
        if len(self._messages) >= self._size:
            raise EngineError(
                f"The engine at {self._shown} is down, and the buffer of {self._size} messages is"
                " full. Start the engine, or make the buffer larger (?buffer=…)."
            )
        self._messages.append(message)
        if not self._running:
            self._running = True
            self._stopped.clear()
            threading.Thread(target=self._run, name="carboy-channels-buffer", daemon=True).start()

    def _run(self) -> None:
        pauses = Pauses()
        log.warning("The engine at %s is down. Messages are kept until it is back.", self._shown)
        sent = 0
        while not self._stopped.is_set():
            with self._lock:
                if not self._messages:
                    self._running = False
                    log.warning("%d messages were kept and have been published.", sent)
                    return
                message = self._messages[0]
            try:
                self._publish(message)
            except EngineError:
                self._stopped.wait(pauses.next())
                continue
            except Exception:
                log.exception("A message of %s cannot be published.", message.channel)
            sent += 1
            with self._lock:
                self._messages.popleft()
        with self._lock:
            self._running = False
            if self._messages:
                log.error(
                    "%d messages were lost, because the process ended while the engine at %s was"
                    " down.", len(self._messages), self._shown,
                )  # fmt: skip
                self._messages.clear()

    def stop(self) -> None:
        """End the thread. What is kept is lost, and the log says so."""
        self._stopped.set()
