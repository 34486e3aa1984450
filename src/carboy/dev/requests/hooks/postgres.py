"""SQL statements of psycopg 3 and psycopg2."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache, wraps
from importlib import import_module
from typing import Any

from carboy.dev.requests.hooks.patches import Patches
from carboy.dev.requests.hooks.sql import SQL, reporting
from carboy.dev.requests.hooks.statement import described

EXECUTES = ("execute", "executemany")


def watch_psycopg(patches: Patches) -> None:
    """All cursors of psycopg 3: of the client and of the server, synchronous and not."""
    psycopg = sys.modules["psycopg"]
    for names, wrapper in (
        (("Cursor", "ServerCursor"), reporting),
        (("AsyncCursor", "AsyncServerCursor"), _async_reporting),
    ):
        for kind in (getattr(psycopg, name) for name in names):
            for method in EXECUTES:
                if method in vars(kind):
                    patches.wrap(kind, method, wrapper)
    patches.wrap(psycopg.Cursor, "copy", _copying)
    patches.wrap(psycopg.AsyncCursor, "copy", _async_copying)
    patches.wrap(psycopg.Cursor, "stream", _streaming)
    patches.wrap(psycopg.AsyncCursor, "stream", _async_streaming)


def _async_reporting(execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    async def executing(self: Any, *given: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        with SQL.call(lambda: described(self, given, options)):
            return await execute(self, *given, **options)

    return executing


def _copying(copy: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(copy)
    @contextmanager
    def copying(self: Any, *given: Any, **options: Any) -> Iterator[Any]:
        __traceback_hide__ = True
        with _spread(self, given, options), copy(self, *given, **options) as found:
            yield found

    return copying


def _async_copying(copy: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(copy)
    @asynccontextmanager
    async def copying(self: Any, *given: Any, **options: Any) -> AsyncIterator[Any]:
        __traceback_hide__ = True
        with _spread(self, given, options):
            async with copy(self, *given, **options) as found:
                yield found

    return copying


def _streaming(stream: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(stream)
    def streaming(self: Any, *given: Any, **options: Any) -> Iterator[Any]:
        __traceback_hide__ = True
        with _spread(self, given, options):
            yield from stream(self, *given, **options)

    return streaming


def _async_streaming(stream: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(stream)
    async def streaming(self: Any, *given: Any, **options: Any) -> AsyncIterator[Any]:
        __traceback_hide__ = True
        with _spread(self, given, options):
            async for row in stream(self, *given, **options):
                yield row

    return streaming


@contextmanager
def _spread(cursor: Any, given: tuple[Any, ...], options: dict[str, Any]) -> Iterator[None]:
    """A statement whose rows come while the caller may execute others."""
    started = SQL.begin()
    if started is not None:
        SQL.leave()
    error: BaseException | None = None
    try:
        yield
    except Exception as problem:
        error = problem
        raise
    finally:
        if started is not None:
            started.end(lambda: described(cursor, given, options), error)


# --- psycopg2: connections and cursors are made of subclasses, because its own are written in C


def watch_psycopg2(patches: Patches) -> None:
    """`psycopg2.connect` makes connections of subclasses."""
    patches.wrap(sys.modules["psycopg2"], "connect", _connecting)


def _connecting(connect: Callable[..., Any]) -> Callable[..., Any]:
    plain = import_module("psycopg2.extensions").connection

    @wraps(connect)
    def connecting(dsn: Any = None, factory: Any = None, *more: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        kind = options.pop("connection_factory", factory) or plain
        return connect(dsn, _connection_class(kind), *more, **options)

    return connecting


@cache
def _connection_class(base: Any) -> Any:
    if not isinstance(base, type):
        return base  # a function that makes connections
    plain = import_module("psycopg2.extensions").cursor

    def cursor(self: Any, name: Any = None, factory: Any = None, *more: Any, **options: Any) -> Any:
        kind = options.pop("cursor_factory", factory) or self.cursor_factory or plain
        return base.cursor(self, name, _cursor_class(kind), *more, **options)  # type: ignore[attr-defined]

    return type(base.__name__, (base,), {"cursor": cursor, "__module__": base.__module__})


@cache
def _cursor_class(base: Any) -> Any:
    if not isinstance(base, type):
        return base
    names = {name: reporting(getattr(base, name)) for name in EXECUTES}
    return type(base.__name__, (base,), {**names, "__module__": base.__module__})
