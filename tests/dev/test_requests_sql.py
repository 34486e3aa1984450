"""SQL statements in the list of requests."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from werkzeug.test import Client

from carboy.dev.debugger import DebuggedApplication
from carboy.dev.requests import Record, RequestList, Store
from carboy.dev.requests.hooks.statement import described
from carboy.dev.requests.pages import request_details, request_list
from carboy.dev.requests.recording import Recording
from recorded_requests import recorded, told

SETUP = """
import sys
from pathlib import Path
from carboy.dev.debugger import DebuggedApplication
from carboy.dev.requests import RequestList, Store
from werkzeug.test import Client

def shown(app, path="/"):
    store = Store(Path(sys.argv[1]))
    response = Client(RequestList(app, store, DebuggedApplication(app))).get(path, buffered=True)
    record = store.all()[0]
    print(response.status_code, record.repeated)
    for event in record.events:
        if event.kind == "sql" and not event.title.startswith("PRAGMA"):
            assert event.took > 0
            print(f"{event.title} | {event.detail}".rstrip())
"""
SQLALCHEMY = """
import sqlalchemy as sa
engine = sa.create_engine("sqlite://")

def app(environ, start_response):
    with engine.connect() as connection:
        for number in range(3):
            connection.execute(sa.text("SELECT :n"), {"n": number})
        try:
            connection.execute(sa.text("SELEC"))
        except sa.exc.OperationalError:
            pass
        connection.execute(sa.text("SELECT 'x' AS password"))
    start_response("200 OK", [])
    return [b""]
shown(app)
"""
DJANGO = """
import django
from django.conf import settings
database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.configure(DATABASES={"default": database},
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="k", DEBUG=True)
django.setup()
from django.db import connection
from django.http import HttpResponse
from django.urls import path
def view(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", [7])
        return HttpResponse(cursor.fetchone())
urlpatterns = [path("", view)]
from django.core.wsgi import get_wsgi_application
shown(get_wsgi_application())
"""


def output(code: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SETUP + code, str(folder)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_statements_of_sqlalchemy_are_recorded_once(tmp_path: Path) -> None:
    told = output(SQLALCHEMY, tmp_path)
    assert told[0] == "200 {'SELECT ?': 3}"
    assert told[1:4] == [f"SELECT ? | ({number},)" for number in range(3)]
    assert told[4:] == [
        'SELEC | OperationalError: near "SELEC": syntax error',
        "SELECT '••••••' AS password |",
    ]


def test_statements_of_django_are_recorded(tmp_path: Path) -> None:
    told = output(DJANGO, tmp_path)
    assert told[-1] == "SELECT %s | [7]"
    assert "QUOTE" not in str(told)  # Django executes it to show the statement itself


class Mine(sqlite3.Connection):
    pass


@pytest.mark.parametrize("options", [{}, {"factory": Mine}], ids=["plain", "factory"])
def test_statements_of_sqlite3_are_recorded(tmp_path: Path, options: dict[str, Any]) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        connection = sqlite3.connect(":memory:", **options)
        assert isinstance(connection, options.get("factory", sqlite3.Connection))
        connection.row_factory = sqlite3.Row
        connection.executescript("CREATE TABLE notes (n)")
        connection.executemany("INSERT INTO notes VALUES (?)", [(1,), (2,)])
        cursor = connection.cursor()
        rows = cursor.execute("SELECT n FROM notes WHERE n > ?", (0,)).fetchall()
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("SELEC")
        start_response("200 OK", [])
        return [b"".join(b"%d" % row["n"] for row in rows)]

    store = Store(tmp_path)
    client = Client(RequestList(app, store, DebuggedApplication(app)))
    assert client.get("/").data == b"12"
    statements = [each.title for each in store.all()[0].events if each.kind == "sql"]
    assert statements == [
        "CREATE TABLE notes (n)", "INSERT INTO notes VALUES (?)",
        "SELECT n FROM notes WHERE n > ?", "SELEC",
    ]  # fmt: skip
    assert store.all()[0].summary()["sql"] == 4


def test_scripts_and_asynchronous_statements_of_sqlite_are_recorded() -> None:
    async def queries() -> None:
        async with aiosqlite.connect(":memory:") as connection:
            await connection.executescript("CREATE TABLE notes (n);\n CREATE TABLE other (n)")
            await connection.executemany("INSERT INTO notes VALUES (?)", [(1,), (2,)])
            async with connection.execute("SELECT n FROM notes WHERE n > ?", (1,)) as cursor:
                assert list(await cursor.fetchall()) == [(2,)]

    assert told(recorded(lambda: asyncio.run(queries())), "sql") == [
        "CREATE TABLE notes (n); CREATE TABLE other (n) | ",
        "INSERT INTO notes VALUES (?) | [(1,), (2,)]",
        "SELECT n FROM notes WHERE n > ? | (1,)",
    ]


def test_nothing_is_patched_when_no_request_list_is_left(tmp_path: Path) -> None:
    code = """
import gc, http.client, sqlite3, sqlalchemy
connect, send = sqlite3.connect, http.client.HTTPConnection.send
finders = list(sys.meta_path)
app = lambda environ, start_response: [b""]
wrapped = RequestList(app, Store(Path()), DebuggedApplication(app))
another = RequestList(app, Store(Path()), DebuggedApplication(app))
sqlite3.connect(":memory:").execute("SELECT 1").connection.close()
del another
gc.collect()
print(sqlite3.connect is connect, http.client.HTTPConnection.send is send)
del wrapped
gc.collect()
print(sqlite3.connect is connect, http.client.HTTPConnection.send is send)
assert sys.meta_path == finders
"""
    assert output(code, tmp_path) == ["False False", "True True"]


@pytest.mark.parametrize(
    ("statement", "values", "shown"),
    [
        ("SELECT password FROM users WHERE id = ? LIMIT ?", (7, 1), "(7, 1)"),
        ('SELECT * FROM "auth_user" WHERE "auth_user"."id" IN (%s, %s)', (7, 8), "(7, 8)"),
        ("SELECT * FROM users WHERE password = ? AND id = ?", ("x", 7), "('••••••', 7)"),
        ("UPDATE users SET token=?, name=? WHERE id>?", ("x", "y", 7), "('••••••', 'y', 7)"),
        ("INSERT INTO users (name, password) VALUES (?, ?)", ["y", "x"], "['y', '••••••']"),
        (
            "INSERT INTO users (name, password) VALUES (?, ?)",
            [("y", "x"), ("z", "x")],
            "[('y', '••••••'), ('z', '••••••')]",
        ),
        ("SELECT * FROM auth, b WHERE ? = b.a AND ? = auth.token", (7, "x"), "(7, '••••••')"),
        ("SELECT check_password(?)", ("x",), "'••••••'"),
        ("SELECT session_key, %s", ("x",), "'••••••'"),
        ("SELECT * FROM books WHERE author = ?", ("ada",), "('ada',)"),
        ("SELECT :password", {"password": "x", "n": 1}, "{'n': 1, 'password': '••••••'}"),
    ],
)
def test_values_of_secret_columns_are_masked(statement: str, values: Any, shown: str) -> None:
    assert described(None, (statement, values), {})[1] == shown


def test_repeated_statements_are_marked() -> None:
    recording = Recording(Record(1, 0.0, "GET", "/", []))
    for number in range(5):
        recording.note("sql", "SELECT <b> FROM t WHERE n = ?", f"({number},)")
    recording.note("sql", "SELECT 1")
    recording.end()
    page = request_details(recording.record, "http://h")
    assert "<b>N+1</b> 5 times <code>SELECT &lt;b&gt; FROM t WHERE n = ?</code>" in page
    assert page.count("<em>×5</em>") == 5
    assert "<b>" not in page.replace("<b>sql", "").replace("<b>N+1", "")
    assert "N+1" in request_list([recording.record])
