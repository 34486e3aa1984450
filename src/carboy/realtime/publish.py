"""`publish`, `subscribers` and `channel_history`: channels from any thread, process or script."""

from __future__ import annotations

from typing import Any

from carboy.app.context import has_app_context, has_request_context
from carboy.app.globals import current_app
from carboy.realtime.channel_rules import check_channel, make_rule
from carboy.realtime.channels import rules, the_engine, the_hub
from carboy.realtime.data import as_data, check_line
from carboy.realtime.engine import Engine, Message, Replay, Subscribers
from carboy.realtime.local_engine import LocalEngine
from carboy.relay.frames import LARGEST_DATA, size_of


def publish(
    channel: str,
    data: Any = "",
    event: str | None = None,
    id: str | None = None,
    timeout: float = 5.0,
) -> Message:
    """Send a message to all connections that hold the channel, in all processes.

    `data` is text, bytes, or a value for JSON. Returns the message with its id. Works in views,
    threads and coroutines of a server, and in scripts, which find the server of their project.
    Waits at most `timeout` seconds; from 5 s on, an engine between machines has limits of its own.

    Raises ValueError for names and ids that cannot be, TypeError for data that cannot be written as
    JSON, and EngineError (a ConnectionError) if no server or engine can be reached.
    """
    dumps = current_app.json.dumps if has_app_context() else None
    message = Message(
        check_channel(channel),
        as_data(data, dumps),
        check_line(event, "event"),
        check_line(id, "id") or "",
    )
    _check_size(message)
    return _engine().publish(message, timeout)


def _check_size(message: Message) -> None:
    """Raise ValueError for data that no server accepts, before any of it is sent.

    The engine knows the --channel-max-message of its server and refuses smaller data by itself.
    """
    size = size_of(message.data)
    if size > LARGEST_DATA:
        raise ValueError(
            f"The message of {size} bytes for the channel {message.channel!r} is longer than a"
            f" channel carries ({LARGEST_DATA} bytes). Publish where the data is, such as a URL."
        )


def subscribers(channel: str, timeout: float = 5.0) -> Subscribers:
    """The connections that hold the channel in all processes: `count`, and `names`."""
    return _engine().subscribers(check_channel(channel), timeout)


def channel_history(channel: str, after: str | None = None, timeout: float = 5.0) -> Replay:
    """The messages of the channel that are kept, oldest first, or those after an id."""
    return _engine().history(check_channel(channel), after, timeout)


def channel(
    pattern: str, *, history: int = 100, seconds: float = 0.0, presence: bool = False
) -> None:
    """Set how much is kept of the channels that match a pattern, such as "room:*".

    `history` is a number of messages for each channel, `seconds` their largest age (0: any). With
    `presence`, names that join and leave are published as the events "join" and "leave". The
    first pattern that matches a channel counts. Call it where the application is made.
    """
    rules.add(make_rule(pattern, history, seconds, presence))
    engine = the_engine()
    if isinstance(engine, LocalEngine):
        engine.rules_changed()


def _engine() -> Engine:
    if has_request_context():
        app: Any = current_app._get_current_object()  # type: ignore[attr-defined]
        return the_hub(app).engine  # which knows the rules of the application
    return the_engine()
