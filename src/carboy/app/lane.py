"""The compiled direct lane of an application (carboy/_speedups/cycle.pyx), if it runs.

It is loaded by a server that asks for it, so that `import carboy` does not load it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from carboy.app import cycle, signals
from carboy.app.active import ContextSlots, _cv
from carboy.app.context import RequestContext, release
from carboy.app.no_route import missing_of
from carboy.app.plan import NO_RULE
from carboy.app.sessions import session_to_refresh
from carboy.app.teardown import finish_pushed
from carboy.routing import fast_path, trie
from carboy.speedups import MODULES, speedups

compiled: ModuleType | None = None


def lane_of(app: Any, known: Any = None) -> Any:
    """The Lane of an application, None if the functions in Python run; `known` was the last one."""
    if compiled is None or getattr(type(app), "direct_handle", None) is not cycle.handle:
        return None
    if type(known) is compiled.Lane and known.app is app and known.state is app.__dict__:
        return known
    return compiled.Lane(app)


def _raising(error: BaseException) -> Callable[[], Any]:
    """A view that raises this error."""

    def result() -> Any:
        raise error

    return result


def _returning(value: Any) -> Callable[[], Any]:
    """A view that returns this value."""
    return lambda: value


def _choose(module: ModuleType | None) -> None:
    global compiled
    if module is not None:
        module.prepare(
            {
                "HTML": cycle.HTML,
                "LENGTHS": cycle.LENGTHS,
                "NO_RULE": NO_RULE,
                "RequestContext": RequestContext,
                "Search": trie.Search,
                "active": _cv,
                "call_view": cycle.call_view,
                "fast_path": fast_path,
                "finish_pushed": finish_pushed,
                "handle": cycle.handle,
                "missing_of": missing_of,
                "prepare": cycle.prepare,
                "raising": _raising,
                "release": release,
                "returning": _returning,
                "run": cycle.run,
                "session_to_refresh": session_to_refresh,
                "signals": signals.__dict__,
                "slots": ContextSlots.__dict__,
                "trie": trie,
            }
        )
    compiled = module


if "cycle" in MODULES:
    speedups.twins("cycle", _choose)
