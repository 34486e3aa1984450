"""Calls of caches: of Flask-Caching, and of Django's cache framework."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any

from carboy.dev.masking import MASK
from carboy.dev.requests.hooks.patches import Patches
from carboy.dev.requests.recording import Timed, current

CACHE = Timed("cache")
METHODS = (
    "get", "set", "add", "delete", "has", "get_many", "get_dict", "set_many", "delete_many",
    "inc", "dec", "incr", "decr", "touch", "unlink", "clear", "has_key",
)  # fmt: skip
MANY = ("get_many", "get_dict", "delete_many", "unlink")  # each argument is a key, or has keys
LONGEST = 200  # characters of a key that are shown
FRAMES = 8  # above a call of the cache in which a decorated function is looked for
# A key such as session:5f3a is a secret after the name.
SECRET_KEY = re.compile(
    r"((?:pass|secret|token|auth|csrf|session|cookie|credential)[\w.-]*[:=])\S+", re.I
)


def watch_flask_caching(patches: Patches) -> None:
    """The backend of a cache is known when the application first uses it."""
    kind = sys.modules["flask_caching"].Cache
    backend_of = kind.cache.fget

    @wraps(backend_of)
    def cache(self: Any) -> Any:
        backend = backend_of(self)
        _watch_backend(patches, type(backend))
        return backend

    patches.replace(kind, "cache", property(cache))


def watch_django(patches: Patches) -> None:
    """The backend of a cache is made when the application first uses it."""

    def wrapper(create: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(create)
        def create_connection(self: Any, alias: str) -> Any:
            backend = create(self, alias)
            _watch_backend(patches, type(backend))
            return backend

        return create_connection

    patches.wrap(sys.modules["django.core.cache"].CacheHandler, "create_connection", wrapper)


def _watch_backend(patches: Patches, kind: type) -> None:
    if "_carboy_watched" in vars(kind):
        return
    patches.replace(kind, "_carboy_watched", True)
    for name in METHODS:
        patches.wrap(kind, name, partial(_timed, name))


def _timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def timed(self: Any, *given: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        decorated = _decorated() if current.get() else ""
        started = CACHE.begin()
        if started is None:
            return function(self, *given, **options)
        try:
            result = function(self, *given, **options)
        except BaseException as error:
            started.end(lambda: (_title(name, given, options), decorated), error)
            raise
        outcome, hit = _outcome(name, given, options, result)
        told = f"{outcome} {decorated}".strip()
        started.end(lambda: (_title(name, given, options), told), hit=hit)
        return result

    return timed


def _title(name: str, given: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """The name and the keys of a call, without its values."""
    keys: list[Any] = list(given) if name in MANY else [*given, *options.values()][:1]
    names: list[str] = []
    for each in keys:
        names += map(str, each) if isinstance(each, dict | list | tuple | set) else [str(each)]
    shown = SECRET_KEY.sub(rf"\1{MASK}", ", ".join(names))[:LONGEST]
    return f"{name} {shown}".rstrip()


def _outcome(
    name: str, given: tuple[Any, ...], options: Mapping[str, Any], result: Any
) -> tuple[str, bool]:
    """The outcome of a call in words, and whether it found a value."""
    if name == "get":
        default = given[1] if len(given) > 1 else options.get("default")
        if result is default and result is not None and type(default) is not object:
            return "", False  # the cached value may be the same as the default
        found = result is not None and result is not default
        return ("hit" if found else "miss"), found
    if name in ("has", "has_key"):
        return ("hit" if result else "miss"), bool(result)
    if name in ("get_many", "get_dict"):
        values = list(result.values() if isinstance(result, dict) else result or ())
        found_count = sum(value is not None for value in values)
        return f"{found_count} found", found_count > 0
    return "", False


def _decorated() -> str:
    """The function with `@cache.cached` or `@cache.memoize` for which a cache is called."""
    frame = sys._getframe(2)
    for _ in range(FRAMES):
        if frame is None or frame.f_back is None:
            return ""
        if frame.f_globals.get("__name__", "").startswith("flask_caching") and callable(
            function := frame.f_locals.get("f")
        ):
            return f"for {getattr(function, '__qualname__', function)}"
        frame = frame.f_back
    return ""
