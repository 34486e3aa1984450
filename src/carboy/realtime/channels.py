"""The engine and the hub of this process, made when they are first used.

below `carboy run`     the relay of the supervisor, by the environment
another server         a relay on a thread of this process, from the first hold() or publish()
                       in a request
a script               the relay of the project's server

With a URL in `--channels`, all of them use the engine at that URL (engines/).
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any

from carboy.engine_url import LOCAL
from carboy.realtime.channel_rules import ChannelRules
from carboy.realtime.engine import ChannelRule, Engine, EngineError
from carboy.realtime.hub import Hub
from carboy.realtime.local_engine import LocalEngine
from carboy.realtime.options import options
from carboy.relay import place
from carboy.relay.counts import CLIENTS_SLOW, MESSAGES_SKIPPED, counts, nothing
from carboy.relay.own import serve_in_thread
from carboy.relay.place import RelayError

AT_EXIT = 2.0  # seconds for each part of the hub to end with its process

rules = ChannelRules()
_lock = threading.RLock()
_engine: Engine | None = None
_hub: Hub | None = None


def the_engine(serves: bool = False) -> Engine:
    """The engine of this process. `serves`: this process has a server, so it may have the relay."""
    global _engine
    with _lock:
        if _engine is None:
            _engine = _make_engine()
        if serves and isinstance(_engine, LocalEngine):
            _have_relay()
        return _engine


def _make_engine() -> Engine:
    chosen = options()
    if chosen.url == LOCAL:
        return LocalEngine(_path)
    from carboy.realtime.engines.choice import engine_at

    rules.default = ChannelRule("*", chosen.history, chosen.seconds)
    return engine_at(chosen.url, rules, chosen.max_message)


def _path() -> str:
    return place.find()


def _have_relay() -> None:
    """Start a relay in this process unless its server has one."""
    if os.environ.get(place.RELAY) == place.NONE:
        place.find()  # raises
    if not os.environ.get(place.RELAY):
        chosen = options()
        os.environ[place.RELAY] = serve_in_thread(
            os.environ.get(place.CHOSEN),
            chosen.history, chosen.seconds, chosen.memory, chosen.relay_buffer, chosen.max_message,
        )  # fmt: skip


def the_hub(app: Any) -> Hub:
    """The hub of this process, which starts when it is first asked for."""
    global _hub
    with _lock:
        if _hub is None:
            try:
                engine = the_engine(serves=True)
            except (OSError, RelayError) as problem:
                raise EngineError(f"The relay of channels cannot be started: {problem}") from None
            _add_configured(app)
            _hub = Hub(engine, options())
            _show(_hub)
            engine.start(_hub, rules)
            _hub.housekeeper.start()
            atexit.register(_stop, _hub)
        return _hub


def _show(hub: Hub) -> None:
    """Have the server show the figures of the hub."""
    counts[CLIENTS_SLOW] = lambda: hub.slow
    counts[MESSAGES_SKIPPED] = lambda: hub.skipped


def _add_configured(app: Any) -> None:
    history = app.config.get("CHANNEL_HISTORY")
    if history is not None:
        rules.add(ChannelRule("*", int(history), options().seconds))


def _stop(hub: Hub) -> None:
    """The process ends: leave all channels, so that other machines need not wait for it."""
    if hub is _hub:
        hub.stop(AT_EXIT)


def _forget() -> None:
    """In a forked child: the threads exist only in the parent."""
    global _lock, _engine, _hub
    _lock = threading.RLock()
    _engine = _hub = None
    counts.update(dict.fromkeys(counts, nothing))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
