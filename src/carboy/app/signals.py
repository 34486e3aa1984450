"""The ten signals an application sends (blinker).

blinker is imported when a signal is first asked for. Until then nobody can have
connected a receiver, so the request cycle asks `loaded` and sends nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carboy.app.signal_objects import (
        appcontext_popped,
        appcontext_pushed,
        appcontext_tearing_down,
        before_render_template,
        got_request_exception,
        message_flashed,
        request_finished,
        request_started,
        request_tearing_down,
        template_rendered,
    )

__all__ = [
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
]

loaded = False
# The receivers of the signals about contexts: with one of them, a context is pushed and popped
# in all its steps.
of_contexts: tuple[Any, ...] = ()
CONTEXTS = (
    "appcontext_pushed",
    "request_tearing_down",
    "appcontext_tearing_down",
    "appcontext_popped",
)


def _load() -> None:
    global loaded, of_contexts
    from carboy.app import signal_objects

    names = globals()
    for name in ("_signals", *__all__):
        names[name] = getattr(signal_objects, name)
    of_contexts = tuple(names[name].receivers for name in CONTEXTS)
    loaded = True


def __getattr__(name: str) -> Any:
    if name != "_signals" and name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _load()
    return globals()[name]


def send(name: str, sender: object, **values: object) -> None:
    """Send the signal of this name, if anybody could have connected to it."""
    if loaded:
        globals()[name].send(sender, **values)


def send_async(name: str, sender: Any, **values: object) -> None:
    """The same; coroutine receivers are run by the application's `ensure_sync`."""
    if loaded:
        globals()[name].send(sender, _async_wrapper=sender.ensure_sync, **values)
