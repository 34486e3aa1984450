"""SQL statements during a request: of SQLAlchemy, `sqlite3` and psycopg, with their times.

Nothing is changed until `watch` is called, which is in development only.
"""

from __future__ import annotations

import re
import reprlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache, wraps
from importlib import import_module
from typing import Any

from carboy.dev.masking import MASK, SECRET, masked

# Called with the statement on one line, its values, and how long it took in seconds.
Hear = Callable[[str, str, float], object]

_hear: Hear = lambda statement, values, seconds: None  # noqa: E731
_watched: set[str] = set()
# A statement of SQLAlchemy is also one of its driver, and should not be reported twice.
_inside: ContextVar[bool] = ContextVar("carboy_dev_sql", default=False)
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_short.maxlevel = 3
TEXT_VALUE = re.compile(r"'(?:[^']|'')*'")
FACTORY = 5  # position of the argument `factory` of sqlite3.connect()
EXECUTES = ("execute", "executemany", "executescript")


def watch(hear: Hear) -> None:
    """Report statements to `hear` from now on; call it again when more packages may be loaded."""
    global _hear
    _hear = hear
    with suppress(ImportError):  # frameworks import it late; Python may be built without it
        import_module("sqlite3")
    for name, start in (
        ("sqlite3", _watch_sqlite), ("sqlalchemy", _watch_sqlalchemy), ("psycopg", _watch_psycopg)
    ):  # fmt: skip
        if name in sys.modules and name not in _watched:
            _watched.add(name)
            start()


@contextmanager
def _timed(statement: object, values: object) -> Iterator[None]:
    if _inside.get():
        yield
        return
    token = _inside.set(True)
    began = time.perf_counter()
    try:
        yield
    finally:
        _inside.reset(token)
        _report(statement, values, time.perf_counter() - began)


def _report(statement: object, values: object, seconds: float) -> None:
    text = " ".join(str(statement).split())
    if SECRET.search(text):
        text = TEXT_VALUE.sub(f"'{MASK}'", text)
    try:
        # Columns of positional values are not known: all are masked if one sounds like a secret.
        shown = _short.repr(masked(text, values)) if values else ""
    except Exception as problem:
        shown = f"<its repr raises {type(problem).__name__}>"
    _hear(text, shown, seconds)


# --- sqlite3: connections and cursors are made of subclasses


def _watch_sqlite() -> None:
    sqlite3: Any = import_module("sqlite3")
    connect = sqlite3.connect

    @wraps(connect)
    def connecting(*args: Any, **options: Any) -> Any:
        if len(args) <= FACTORY:
            options["factory"] = _connection_class(options.get("factory") or sqlite3.Connection)
        return connect(*args, **options)

    for module in (sqlite3, sqlite3.dbapi2):
        module.connect = connecting


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
        return getattr(self.cursor(), name)(*args)

    execute.__name__ = name
    return execute


@cache
def _cursor_class(base: type) -> type:
    """A subclass of a cursor that reports its statements."""
    names = {name: _reporting(getattr(base, name)) for name in EXECUTES}
    return type(base.__name__, (base,), {**names, "__module__": base.__module__})


def _reporting(execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def reporting(self: Any, statement: Any, values: Any = None, *more: Any, **options: Any) -> Any:
        given = () if values is None else (values,)
        shown = values if isinstance(values, dict | tuple | list) else ()
        with _timed(statement, shown):
            return execute(self, statement, *given, *more, **options)

    return reporting


# --- SQLAlchemy: events of all engines


def _watch_sqlalchemy() -> None:
    event = import_module("sqlalchemy.event")
    engine = import_module("sqlalchemy.engine").Engine

    def before(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        conn.info.setdefault("carboy_sql", []).append((time.perf_counter(), _inside.set(True)))

    def after(conn: Any, cursor: Any, statement: str, values: Any, *rest: Any) -> None:
        ended(conn.info, statement, values)

    def failed(context: Any) -> None:
        if context.connection is not None:
            ended(context.connection.info, context.statement, context.parameters)

    def ended(info: Any, statement: Any, values: Any) -> None:
        if started := info.get("carboy_sql"):
            began, _ = started.pop()
            _inside.set(bool(started))
            _report(statement, values, time.perf_counter() - began)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)


# --- psycopg 3


def _watch_psycopg() -> None:
    cursor = import_module("psycopg").Cursor
    for name in ("execute", "executemany"):
        setattr(cursor, name, _reporting(getattr(cursor, name)))
