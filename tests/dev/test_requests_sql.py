"""SQL statements in the list of requests."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from carboy.dev.debugger import DebuggedApplication
from carboy.dev.requests import Record, RequestList, Store
from carboy.dev.requests.pages import request_details

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
    print(response.status_code, record.repeated())
    for _, kind, title, detail in record.events:
        if kind == "sql" and not title.startswith("PRAGMA"):
            print(f"{title} | {detail.partition(' ms')[2].strip()}".rstrip())
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
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="k")
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
PSYCOPG = """
import types
class Cursor:
    def execute(self, query, params=None, *, prepare=None):
        return self
    executemany = execute
sys.modules["psycopg"] = types.SimpleNamespace(Cursor=Cursor)

def app(environ, start_response):
    assert isinstance(Cursor().execute("SELECT %s", (7,), prepare=True), Cursor)
    start_response("200 OK", [])
    return [b""]
shown(app)
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
    assert told[4:] == ["SELEC |", "SELECT '••••••' AS password |"]


def test_statements_of_django_are_recorded(tmp_path: Path) -> None:
    assert output(DJANGO, tmp_path)[-1] == "SELECT %s | [7]"


def test_statements_of_psycopg_are_recorded(tmp_path: Path) -> None:
    assert output(PSYCOPG, tmp_path) == ["200 {}", "SELECT %s | (7,)"]


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
    statements = [title for _, kind, title, _ in store.all()[0].events if kind == "sql"]
    assert statements == [
        "CREATE TABLE notes (n)", "INSERT INTO notes VALUES (?)",
        "SELECT n FROM notes WHERE n > ?", "SELEC",
    ]  # fmt: skip
    assert store.all()[0].summary()["sql"] == 4


def test_repeated_statements_are_marked() -> None:
    record = Record(1, 0.0, "GET", "/", [])
    for number in range(5):
        record.note("sql", "SELECT <b> FROM t WHERE n = ?", f"0.1 ms ({number},)")
    record.note("sql", "SELECT 1", "0.1 ms")
    page = request_details(record, "http://h")
    assert "<b>N+1</b> 5 times <code>SELECT &lt;b&gt; FROM t WHERE n = ?</code>" in page
    assert page.count("<em>×5</em>") == 5
    assert "<b>" not in page.replace("<b>sql", "").replace("<b>N+1", "")


def test_times_do_not_run_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record(1, 0.0, "GET", "/", [])
    record.note("log", "one")
    monkeypatch.setattr("time.time", lambda: -1000.0)
    record.note("log", "two", recording=0.0)
    record.note("log", "three", recording=5.0)
    times = [at for at, *_ in record.events]
    assert times == sorted(times)
    assert record.elapsed() > 0
