"""The ten signals that an application sends (blinker).

blinker is imported when a signal is first asked for. Until then no receiver can be connected, so
the request cycle looks at `loaded` and sends nothing.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blinker import NamedSignal

    appcontext_popped: NamedSignal
    appcontext_pushed: NamedSignal
    appcontext_tearing_down: NamedSignal
    before_render_template: NamedSignal
    got_request_exception: NamedSignal
    message_flashed: NamedSignal
    request_finished: NamedSignal
    request_started: NamedSignal
    request_tearing_down: NamedSignal
    template_rendered: NamedSignal

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
# The receivers of the signals about contexts. If there is one, contexts are pushed and popped
# step by step.
of_contexts: tuple[Any, ...] = ()
CONTEXTS = (
    "appcontext_pushed",
    "request_tearing_down",
    "appcontext_tearing_down",
    "appcontext_popped",
)
_lock = Lock()


def _load() -> None:
    """Make the signals, once: a receiver connected to a second set would never be called."""
    global loaded, of_contexts
    from blinker import Namespace

    with _lock:
        if loaded:
            return
        names = globals()
        names["_signals"] = namespace = Namespace()
        for name in __all__:
            names[name] = namespace.signal(name.replace("_", "-"))
        of_contexts = tuple(names[name].receivers for name in CONTEXTS)
        loaded = True


def __getattr__(name: str) -> Any:
    if name != "_signals" and name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _load()
    return globals()[name]


def send(name: str, sender: object, **values: object) -> None:
    """Send the signal of this name, if a receiver can be connected to it."""
    if loaded:
        globals()[name].send(sender, **values)


def send_async(name: str, sender: Any, **values: object) -> None:
    """`send`, with coroutine receivers run by the application's `ensure_sync`."""
    if loaded:
        globals()[name].send(sender, _async_wrapper=sender.ensure_sync, **values)
