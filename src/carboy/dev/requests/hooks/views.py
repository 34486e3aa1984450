"""The time of the view itself, without what runs before and after it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from carboy.dev.requests.hooks.patches import Patches
from carboy.dev.requests.recording import Timed, current

VIEW = Timed("view")


def watch_flask(app: Any) -> None:
    """Record the views of an application of Flask or Carboy."""
    dispatch = app.dispatch_request

    @wraps(dispatch)
    def dispatch_request(*given: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        recording = current.get()
        if recording is None or not recording.record.endpoint:  # no route matches
            return dispatch(*given, **options)
        with VIEW.call(lambda: (recording.record.endpoint, "")):
            return dispatch(*given, **options)

    app.dispatch_request = dispatch_request


def watch_django(patches: Patches) -> None:
    """Django calls a view through the function that this method returns."""

    def wrapper(make: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(make)
        def make_view_atomic(self: Any, view: Any) -> Any:
            made = make(self, view)
            return _async_timed(made) if inspect.iscoroutinefunction(made) else _timed(made)

        return make_view_atomic

    handler = sys.modules["django.core.handlers.base"].BaseHandler
    patches.wrap(handler, "make_view_atomic", wrapper)


def _title(view: Callable[..., Any]) -> tuple[str, str]:
    return f"{getattr(view, '__module__', '')}.{getattr(view, '__qualname__', view)}".strip("."), ""


def _async_timed(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    async def timed(*given: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        with VIEW.call(lambda: _title(view)):
            return await view(*given, **options)

    return timed


def _timed(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def timed(*given: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        with VIEW.call(lambda: _title(view)):
            return view(*given, **options)

    return timed
