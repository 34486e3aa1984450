"""One connection that holds channels, from its start to its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any, Protocol

from carboy.realtime.data import as_data, check_line
from carboy.realtime.encoded import Encoded
from carboy.realtime.engine import Message, Replay

Hook = Callable[["Hold"], object]


class Hub(Protocol):
    """The hub, as a hold sees it (hub.py)."""

    def keep(self, hold: Hold, encoded: Encoded) -> None:
        """Keep a message until the client has read some of those before it."""
        ...

    def note(self, hold: Hold) -> None:
        """The connection of a hold has changed; from any thread, with any lock."""
        ...

    @property
    def count(self) -> int:
        """Number of open holds."""
        ...


class State(Enum):
    """How far a hold is."""

    NEW = "the connection is not ready"
    ATTACHING = "the replay has not come"
    LIVE = "messages are sent as they come"
    ENDED = "the connection has ended"


NEW, ATTACHING, LIVE, ENDED = State


class Outlet(Protocol):
    """The connection of a hold. No method blocks or raises."""

    @property
    def open(self) -> bool:
        """False: the connection has ended."""
        ...

    @property
    def full(self) -> bool:
        """Whether the client reads slowly, so that nothing should be sent now."""
        ...

    def start(self) -> None:
        """Send the head and the first events: the channels are attached."""
        ...

    def send(self, encoded: Encoded) -> bool:
        """Send a message; False: it was not sent, because the client reads slowly."""
        ...

    def keep_alive(self) -> None:
        """Send a comment, so that nothing between takes the connection for dead."""
        ...

    def finish(self) -> None:
        """End the connection in order."""
        ...

    def take(self) -> str | bytes | None:
        """The next message of the client; None if there is none."""
        ...

    def cut(self) -> None:
        """End the connection at once."""
        ...


class Hooks:
    """Functions of the application for one hold, and what they need."""

    __slots__ = (
        "app", "busy", "calls", "close", "keep_alive", "on_close", "on_message", "on_open",
    )  # fmt: skip

    def __init__(
        self,
        app: Any,
        keep_alive: float,
        on_open: Hook | None = None,
        on_close: Hook | None = None,
        on_message: Callable[[Hold, str | bytes], object] | None = None,
    ) -> None:
        self.app = app
        self.keep_alive = keep_alive  # seconds between two comments; 0: no comments
        self.on_open = on_open
        self.on_close = on_close
        self.on_message = on_message
        self.close: Callable[[], object] | None = None  # of the response
        # calls of hooks that are due, in order, and whether a thread makes them (housekeeping.py)
        self.calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] | None = None
        self.busy = False


class Hold:
    """The channels of one connection, and what it has got of them.

    Hooks get it: `channels` and `name` are those of `hold()`, `send` sends this client an event,
    and `close` ends the connection.
    """

    __slots__ = ("after", "channels", "hooks", "hub", "is_live", "kept", "kept_size", "name",
                 "outlet", "pending", "replays", "skipped", "state")  # fmt: skip

    def __init__(
        self,
        hub: Hub,
        channels: tuple[str, ...],
        name: str | None,
        after: str | None,
        hooks: Hooks,
    ) -> None:
        self.hub = hub
        self.channels = channels
        self.outlet: Outlet = NOWHERE
        self.name = name
        self.after = after
        self.hooks = hooks
        self.state = NEW
        self.is_live = False
        # while it attaches
        self.replays: dict[str, Replay] = {}
        self.pending: list[Message] | tuple[()] = []
        # while its client is slow
        self.kept: deque[Encoded] | None = None
        self.kept_size = 0
        self.skipped = 0

    # --- for hooks

    def send(self, data: Any, event: str | None = None, id: str = "") -> None:
        """Send this client an event. Does nothing if it has gone."""
        message = Message(self.channels[0], as_data(data), check_line(event, "event"))
        self.put(Encoded(replace(message, id=check_line(id, "id") or "")))

    def close(self) -> None:
        """End the connection; an EventSource connects again, unless it gets 204 then."""
        self.outlet.finish()
        self.hub.note(self)

    # --- for the hub

    def put(self, encoded: Encoded) -> None:
        """Send a message, or keep it while the client is slow."""
        if self.kept is not None or not self.outlet.send(encoded):
            self.hub.keep(self, encoded)

    def go_live(self) -> None:
        """From now on, messages are sent as they come. With the hub's lock."""
        self.pending = ()
        self.replays = NOTHING
        self.state = LIVE
        self.is_live = True

    def end(self) -> None:
        """From now on, nothing is sent. With the hub's lock."""
        self.state = ENDED
        self.is_live = False
        self.pending = ()
        self.kept = None


class _Nowhere:
    """The outlet of a hold that has none yet."""

    open = True
    full = False

    def start(self) -> None:
        pass

    def send(self, encoded: Encoded) -> bool:
        return True

    def keep_alive(self) -> None:
        pass

    def finish(self) -> None:
        pass

    def take(self) -> str | bytes | None:
        return None

    def cut(self) -> None:
        pass


NOWHERE = _Nowhere()
NOTHING: dict[str, Replay] = {}
