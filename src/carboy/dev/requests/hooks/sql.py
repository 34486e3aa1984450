"""SQL statements: of `sqlite3`, aiosqlite and SQLAlchemy. Those of PostgreSQL are in `postgres`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import copy_context
from functools import cache, partial, wraps
from importlib import import_module
from typing import Any

from carboy.dev.requests.hooks.patches import Patches
from carboy.dev.requests.hooks.statement import described
from carboy.dev.requests.recording import Started, Timed

SQL = Timed("sql")
OF_DJANGO = "SELECT QUOTE("  # in debug mode, for the text of a statement that it keeps
FACTORY = 5  # position of the argument `factory` of sqlite3.connect()
EXECUTES = ("execute", "executemany", "executescript")


# --- sqlite3: connections and cursors are made of subclasses


def watch_sqlite(patches: Patches) -> None:
    """`sqlite3.connect` makes connections of subclasses."""
    sqlite3: Any = sys.modules["sqlite3"]
    connect = sqlite3.connect

    @wraps(connect)
    def connecting(*args: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        if len(args) <= FACTORY:
            options["factory"] = _connection_class(options.get("factory") or sqlite3.Connection)
        return connect(*args, **options)

    for module in (sqlite3, sqlite3.dbapi2):
        patches.replace(module, "connect", connecting)


@cache
def _connection_class(base: Any) -> Any:
    """A subclass of a connection whose cursors report their statements."""
    if not isinstance(base, type):
        return base  # a function that makes connections

    sqlite3 = import_module("sqlite3")

    def cursor(self: Any, factory: Any = sqlite3.Cursor) -> Any:
        kind = _cursor_class(factory) if isinstance(factory, type) else factory
        return base.cursor(self, kind)  # type: ignore[attr-defined]

    names: dict[str, Any] = {"cursor": cursor, "__module__": base.__module__}
    for name in EXECUTES:
        if getattr(base, name) is getattr(sqlite3.Connection, name):
            names[name] = _through_cursor(name)
    return type(base.__name__, (base,), names)


def _through_cursor(name: str) -> Callable[..., Any]:
    def execute(self: Any, *args: Any) -> Any:
        __traceback_hide__ = True
        return getattr(self.cursor(), name)(*args)

    execute.__name__ = name
    return execute


@cache
def _cursor_class(base: type) -> type:
    """A subclass of a cursor that reports its statements."""
    names = {name: reporting(getattr(base, name)) for name in EXECUTES}
    return type(base.__name__, (base,), {**names, "__module__": base.__module__})


def reporting(execute: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a cursor that is recorded."""

    @wraps(execute)
    def executing(self: Any, *given: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        if given and isinstance(given[0], str) and given[0].startswith(OF_DJANGO):
            return execute(self, *given, **options)
        with SQL.call(lambda: described(self, given, options)):
            return execute(self, *given, **options)

    return executing


# --- aiosqlite: its statements run on a thread of their own


def watch_aiosqlite(patches: Patches) -> None:
    """They run in the context of the request."""

    def wrapper(execute: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(execute)
        def in_context(self: Any, function: Any, *given: Any, **options: Any) -> Any:
            return execute(self, copy_context().run, function, *given, **options)

        return in_context

    patches.wrap(sys.modules["aiosqlite"].Connection, "_execute", wrapper)


# --- SQLAlchemy: events of all engines


def watch_sqlalchemy(patches: Patches) -> None:
    """Statements of its engines, also asynchronous ones."""
    event = import_module("sqlalchemy.event")
    engine = import_module("sqlalchemy.engine").Engine

    def before(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        conn.info.setdefault("carboy_sql", []).append(SQL.begin())

    def after(conn: Any, cursor: Any, statement: str, values: Any, *rest: Any) -> None:
        ended(conn.info, statement, values)

    def failed(context: Any) -> None:
        if context.connection is not None:
            error = context.original_exception
            ended(context.connection.info, context.statement, context.parameters, error)

    def ended(info: Any, statement: Any, values: Any, error: BaseException | None = None) -> None:
        begun: list[Started | None] = info.get("carboy_sql") or [None]
        if (started := begun.pop()) is not None:
            started.end(lambda: described(None, (statement, values), {}), error)

    for name, listener in (
        ("before_cursor_execute", before), ("after_cursor_execute", after), ("handle_error", failed)
    ):  # fmt: skip
        event.listen(engine, name, listener)
        patches.on_undo(partial(event.remove, engine, name, listener))
