"""The SQLite database: a connection for each request, and the schema."""

from __future__ import annotations

import datetime
import sqlite3

from carboy import Flask, current_app, g

WAIT_SECONDS = 10


def install(app: Flask) -> None:
    app.teardown_appcontext(close)
    with app.open_resource("schema.sql") as file:
        schema = file.read().decode()
    connection = connect(app.config["DATABASE"])
    try:
        # Readers do not wait for a writer.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(schema)
    finally:
        connection.close()


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def db() -> sqlite3.Connection:
    """The connection of the current request; `with db():` is one transaction."""
    if "db" not in g:
        g.db = connect(current_app.config["DATABASE"])
    connection: sqlite3.Connection = g.db
    return connection


def close(error: BaseException | None = None) -> None:
    connection = g.pop("db", None)
    if connection is not None:
        connection.close()


def now() -> str:
    """The current time in UTC, in the format of the tables."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
