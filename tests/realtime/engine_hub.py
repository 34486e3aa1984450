"""A hub that records what an engine delivers, for tests of engines."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from carboy.realtime.channel_rules import ChannelRules
from carboy.realtime.engine import ChannelRule, Message, Replay
from carboy.realtime.engines.choice import engine_at
from carboy.realtime.engines.remote import RemoteEngine
from running import PATIENCE


def rules_of(history: int = 100, seconds: float = 300.0, presence: bool = False) -> ChannelRules:
    rules = ChannelRules()
    rules.add(ChannelRule("*", history, seconds, presence))
    return rules


class Recorder:
    """An engine that runs, and its hub."""

    def __init__(self, url: str, rules: ChannelRules | None = None) -> None:
        self.rules = rules or rules_of()
        self.engine: RemoteEngine = engine_at(url, self.rules)
        self.changed = threading.Condition()
        self.messages: list[Message] = []
        self.losses: list[Any] = []
        self.threads: set[int] = set()
        self.log = ""
        self.handler = logging.Handler()
        self.handler.emit = self._logged  # type: ignore[method-assign]
        logging.getLogger("carboy.error").addHandler(self.handler)
        self.engine.start(self, self.rules)

    # --- Deliver

    def message(self, message: Message) -> None:
        with self.changed:
            self.messages.append(message)
            self.threads.add(threading.get_ident())
            self.changed.notify_all()

    def lost(self, channels: Sequence[str] | None) -> None:
        with self.changed:
            self.losses.append(channels)
            self.changed.notify_all()

    # --- for tests

    def _logged(self, record: logging.LogRecord) -> None:
        with self.changed:
            self.log += record.getMessage() + "\n"
            self.changed.notify_all()

    def until(self, done: Callable[[], Any], what: str) -> None:
        with self.changed:
            assert self.changed.wait_for(done, PATIENCE), f"no {what}: {self.messages}"

    def got(self, *data: Any) -> list[Message]:
        """Wait until these data have been delivered, and nothing else."""
        self.until(lambda: len(self.messages) >= len(data), f"{data}")
        with self.changed:
            assert [each.data for each in self.messages] == list(data)
            return self.messages

    def attach(self, channel: str, after: str | None = None) -> Replay:
        found: list[Replay] = []
        ready = threading.Event()

        def done(replay: Replay) -> None:
            found.append(replay)
            ready.set()

        self.engine.attach(channel, after, done)
        assert ready.wait(PATIENCE), "the channel was not attached"
        return found[0]

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.engine.stop(PATIENCE)
        logging.getLogger("carboy.error").removeHandler(self.handler)
