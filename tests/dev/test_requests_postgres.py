"""SQL statements of PostgreSQL in the list of requests, with a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import psycopg2
import psycopg2.extras
import psycopg2.sql
import psycopg_pool
import pytest
import sqlalchemy
from psycopg import sql
from sqlalchemy.ext.asyncio import create_async_engine

from postgres_server import postgres
from recorded_requests import recorded, told

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as found:
        yield found


def url(database: str, driver: str) -> str:
    folder = database.split(maxsplit=1)[0].removeprefix("host=")
    return f"postgresql+{driver}://tests@/postgres?host={folder}"


def test_cursors_of_psycopg(database: str) -> None:
    def view() -> None:
        with psycopg.connect(database) as connection:
            connection.execute("CREATE TEMP TABLE notes (n int)")
            cursor = connection.cursor()
            cursor.executemany("INSERT INTO notes VALUES (%s)", [(1,), (2,)])
            cursor.execute(query="SELECT %(n)s", params={"n": 1})
            composed = sql.SQL("SELECT * FROM {}").format(sql.Identifier("notes"))
            assert cursor.execute(composed).fetchall() == [(1,), (2,)]
            with cursor.copy("COPY notes FROM STDIN") as copy:
                copy.write_row((3,))
            assert len(list(cursor.stream("SELECT n FROM notes"))) == 3
            with connection.cursor(name="server") as other:
                assert other.execute("SELECT n + 1 FROM notes").fetchone() == (2,)
            psycopg.ClientCursor(connection).execute("SELECT %s", ("x",))
            with pytest.raises(psycopg.Error):
                connection.execute("SELECT password FROM users WHERE password = 'hunter2'")

    assert told(recorded(view), "sql") == [
        "CREATE TEMP TABLE notes (n int) | ",
        "INSERT INTO notes VALUES (%s) | [(1,), (2,)]",
        "SELECT %(n)s | {'n': 1}",
        'SELECT * FROM "notes" | ',
        "COPY notes FROM STDIN | ",
        "SELECT n FROM notes | ",
        "SELECT n + 1 FROM notes | ",
        "SELECT %s | ('x',)",
        "SELECT password FROM users WHERE password = '••••••' | "
        'UndefinedTable: relation "users" does not exist',
    ]


def test_asynchronous_cursors_of_psycopg(database: str) -> None:
    async def queries() -> None:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            cursor = await connection.execute("SELECT %s", (1,))
            await cursor.executemany("SELECT %s", [(1,), (2,)])
            async for _ in cursor.stream("SELECT 3"):
                await asyncio.sleep(0)
            async with cursor.copy("COPY (SELECT 4) TO STDOUT") as copy:
                async for _ in copy:
                    pass
            async with connection.cursor(name="server") as other:
                await other.execute("SELECT 5")
            await asyncio.gather(connection.execute("SELECT 6"), connection.execute("SELECT 7"))

    assert told(recorded(lambda: asyncio.run(queries())), "sql") == [
        "SELECT %s | (1,)", "SELECT %s | [(1,), (2,)]", "SELECT 3 | ",
        "COPY (SELECT 4) TO STDOUT | ", "SELECT 5 | ", "SELECT 6 | ", "SELECT 7 | ",
    ]  # fmt: skip


def test_a_connection_of_a_pool(database: str) -> None:
    with psycopg_pool.ConnectionPool(database, min_size=1) as pool:

        def view() -> None:
            for n in range(3):
                with pool.connection() as connection:
                    connection.execute("SELECT %s", (n,))

        record = recorded(view)
    assert record.repeated == {"SELECT %s": 3}
    assert record.summary()["repeated"] == 3


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_statement_of_sqlalchemy_is_recorded_once(database: str, driver: str) -> None:
    engine = sqlalchemy.create_engine(url(database, driver))

    def view() -> None:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT :n"), {"n": 1})

    recorded(view)  # statements of the first connection
    assert told(recorded(view), "sql") == ["SELECT %(n)s | {'n': 1}"]
    engine.dispose()


def test_a_statement_of_asynchronous_sqlalchemy_is_recorded_once(database: str) -> None:
    async def queries() -> None:
        for address in (url(database, "psycopg"), "sqlite+aiosqlite://"):
            engine = create_async_engine(address)
            async with engine.connect() as connection:
                await connection.execute(sqlalchemy.text("SELECT 'this'"))
            await engine.dispose()

    found = told(recorded(lambda: asyncio.run(queries())), "sql")
    assert [each for each in found if "this" in each] == ["SELECT 'this' | "] * 2


def test_cursors_of_psycopg2(database: str) -> None:
    def view() -> None:
        connection: Any = psycopg2.connect(database)
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE notes (n int)")
        psycopg2.extras.execute_values(cursor, "INSERT INTO notes VALUES %s", [(1,), (2,)])
        cursor.execute(psycopg2.sql.SQL("SELECT {}").format(psycopg2.sql.Literal(5)))
        with connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as other:
            other.execute("SELECT n FROM notes WHERE n > %s", (1,))
            assert other.fetchone()["n"] == 2
        with pytest.raises(psycopg2.Error):
            cursor.execute("SELEC")
        connection.close()

    assert told(recorded(view), "sql") == [
        "CREATE TEMP TABLE notes (n int) | ",
        "INSERT INTO notes VALUES (1),(2) | ",
        "SELECT 5 | ",
        "SELECT n FROM notes WHERE n > %s | (1,)",
        'SELEC | SyntaxError: syntax error at or near "SELEC"',
    ]
