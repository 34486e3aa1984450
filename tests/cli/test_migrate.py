"""`carboy migrate`: what it prints is accepted by `carboy run`, and files are read, not run."""

from __future__ import annotations

import json
import os
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from carboy.cli.main import make_group
from carboy.cli.migrate.command_line import find_command, read_words
from carboy.cli.migrate.expressions import CannotRead, Reading
from carboy.cli.migrate.python_file import WrongFile, read_python
from carboy.cli.migrate.servers import SERVERS

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""
GUNICORN = """
import multiprocessing
import os
from pathlib import Path

Path("was_run").touch()
name = "shop"
bind = [f"unix:/tmp/{name}.sock", "127.0.0.1:" + "8001"]
workers = multiprocessing.cpu_count() * 2 + 1
worker_class = "gthread"
threads = int(os.environ.get("SHOP_THREADS", "4"))
timeout = 60 * 2
keepalive = 5
accesslog = None if os.environ.get("SHOP_QUIET") else "-"
limit_request_line = 8190
umask = 0o027
backlog = some_function()
raw_env = ["SHOP=1"]
daemon = True
sendfile = False
wsgi_app = "app:app"
worekrs = 3

def post_fork(server, worker):
    server.log.info("forked")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("CARBOY_", "FLASK_", "UVICORN_", "GUNICORN_")) or name in (
            "PORT",
            "HOST",
            "WEB_CONCURRENCY",
        ):
            monkeypatch.delenv(name)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def migrate(*args: str) -> str:
    result = CliRunner().invoke(make_group(), ["migrate", *args])
    assert result.exit_code == 0, result.output
    return result.output


def found(*args: str) -> dict[str, Any]:
    """The only migration, which `carboy run` accepts as a command and as a table."""
    whole = json.loads(migrate("--json", *args))
    (one,) = whole["migrations"]
    one["changes"] = whole["changes"]
    accepted(one)
    return dict(one)


def accepted(one: dict[str, Any]) -> None:
    words = shlex.split(one["command"])
    words = words[words.index("carboy") + 1 :]
    if not any("$" in word for word in words):
        result = CliRunner().invoke(make_group(), [*words, "--print-config"])
        assert result.exit_code == 0, result.output


def refused(*args: str) -> str:
    result = CliRunner().invoke(make_group(), ["migrate", *args])
    assert result.exit_code == 1, result.output
    return result.output


def verdicts(one: dict[str, Any]) -> dict[str, str]:
    return {each["setting"].split(" ")[0]: each["verdict"] for each in one["findings"]}


def note(one: dict[str, Any], setting: str) -> str:
    return next(e["note"] for e in one["findings"] if e["setting"].split(" ")[0] == setting)


# --- gunicorn.conf.py


def test_a_file_of_gunicorn_is_read_and_not_run(folder: Path) -> None:
    (folder / "gunicorn.conf.py").write_text(GUNICORN)
    one = found("gunicorn.conf.py")
    assert not (folder / "was_run").exists()
    assert one["app"] == "app:app"
    assert one["table"] == {
        "app": "app:app",
        "bind": ["unix:/tmp/shop.sock", "127.0.0.1:8001"],
        "umask": "27",
        "workers": "auto",
        "threads": 4,
        "access-log-file": "stdout",
        "keepalive-timeout": 5,
        "worker-timeout": 120,
        "limit-request-line": 8190,
        "sendfile": False,
    }
    assert one["command"].startswith("SHOP=1 carboy run app:app ")
    said = verdicts(one)
    assert said["backlog"] == said["daemon"] == said["def"] == "no equivalent"
    assert "only known when the file runs" in note(one, "backlog")
    assert "Did you mean 'workers'?" in note(one, "worekrs")
    places = {each["setting"]: each["place"] for each in one["findings"]}
    assert places["daemon = True"] == "gunicorn.conf.py:19"
    assert "SHOP_THREADS" in note(one, "threads")


def test_a_file_that_is_run_has_all_values(folder: Path) -> None:
    (folder / "gunicorn.conf.py").write_text(
        "def f():\n    return 77\nbacklog = f()\nwsgi_app = 'app:app'\n"
    )
    one = found("--run", "gunicorn.conf.py")
    assert one["table"]["backlog"] == 77


def test_a_file_that_raises_is_reported(folder: Path) -> None:
    (folder / "gunicorn.conf.py").write_text("raise SystemExit(3)\n")
    assert "SystemExit(3)" in refused("--run", "gunicorn.conf.py")


def test_a_file_with_a_syntax_error_is_reported(folder: Path) -> None:
    (folder / "gunicorn.conf.py").write_text("workers = = 3\n")
    assert "gunicorn.conf.py cannot be read" in refused("gunicorn.conf.py")


@pytest.mark.parametrize(
    "text",
    [
        "'a' * 10**9",
        "9 ** 9 ** 9 ** 9",
        "'%1000000000d' % 1",
        "'{:1000000000}'.format(1)",
        "'{0.__class__.__mro__}'.format(1)",
        "f'{1:1000000000}'",
        "().__class__.__bases__",
        "__import__('os').system('touch was_run')",
        "[x for x in range(10**9)]",
        "1 / 0",
        "-" * 5000 + "1",
        "{**{}}",
        "os.environ['MISSING_VARIABLE']",
        "'x'.join(['y' * 1999] * 1999) * 1999",
    ],
)
def test_an_expression_that_cannot_be_read_is_not_computed(tmp_path: Path, text: str) -> None:
    file = tmp_path / "gunicorn.conf.py"
    file.write_text(f"workers = {text}\n")
    try:
        (one,) = read_python(file, {})
    except WrongFile:
        return  # nested too deeply for the parser of this Python
    assert str(one.value) == one.text


@given(st.text(alphabet="abc()[]{}+*'%.,:0123456789 fi\n=", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    import ast

    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    try:
        Reading({}, Path("x.py")).value(tree.body)
    except CannotRead:
        pass


def test_branches_are_taken_where_the_condition_is_known(folder: Path) -> None:
    (folder / "gunicorn.conf.py").write_text(
        "import os, sys\n"
        "if os.environ.get('NEVER_SET'):\n    workers = 9\nelse:\n    workers = 2\n"
        "if sys.platform == 'x':\n    backlog = 5\n"
        "for each in [1]:\n    umask = each\n"
    )
    one = found("gunicorn.conf.py")
    assert one["table"]["workers"] == 2
    assert verdicts(one)["backlog"] == verdicts(one)["umask"] == "no equivalent"


# --- command lines


def test_a_command_line_of_gunicorn(folder: Path) -> None:
    one = found("gunicorn -w4 --thr 8 -b :80 -b unix:/x --no-sendfile -e A=b --max-req 0 app:app")
    assert one["table"] == {
        "app": "app:app",
        "bind": ["0.0.0.0:80", "unix:/x"],
        "workers": 4,
        "threads": 8,
        "sendfile": False,
    }
    assert one["variables"] == {"A": "b"}


def test_workers_of_one_request_at_a_time_have_one_thread(folder: Path) -> None:
    one = found("gunicorn app:app")
    assert one["table"]["threads"] == 1
    assert "thread-safe" in note(one, "worker_class")


def test_green_threads_have_no_equal(folder: Path) -> None:
    one = found("gunicorn -k gevent app:app")
    assert "threads" not in one["table"]
    assert verdicts(one)["-k"] == "no equivalent"


def test_workers_of_uvicorn_are_not_needed(folder: Path) -> None:
    one = found("gunicorn -k uvicorn.workers.UvicornWorker -w 2 app:app")
    assert one["table"] == {"app": "app:app", "workers": 2}
    assert verdicts(one)["-k"] == "not needed"


def test_a_command_line_replaces_the_file_that_it_names(folder: Path) -> None:
    (folder / "x.py").write_text("bind = '127.0.0.1:1'\nworkers = 7\nbacklog = 5\n")
    one = found("GUNICORN_CMD_ARGS='--workers 6' gunicorn -c x.py -b 127.0.0.1:2 app:app")
    assert one["table"]["bind"] == "127.0.0.1:2"
    assert (one["table"]["workers"], one["table"]["backlog"]) == (6, 5)
    assert one["variables"] == {}


def test_the_variable_port_is_left_to_carboy(folder: Path) -> None:
    one = found("gunicorn --bind 0.0.0.0:$PORT app:app")
    assert "bind" not in one["table"]
    assert verdicts(one)["--bind"] == "not needed"
    one = found("uvicorn app:app --host 0.0.0.0 --port ${PORT:-8000}")
    assert {"host", "port"} & one["table"].keys() == set()


def test_what_the_shell_expands_is_in_the_command_only(folder: Path) -> None:
    one = found("gunicorn --workers ${N:-3} app:app")
    assert '--workers "${N:-3}"' in one["command"]
    assert "workers" not in one["table"]


def test_a_command_line_of_uvicorn(folder: Path) -> None:
    one = found(
        "poetry run python -m uvicorn app:app --host 127.0.0.1 --port 80 --workers 2 --factory"
        " --no-access-log --no-server-header --ws-max-size 1024 --timeout-keep-alive=7"
        " --no-proxy-headers --ws-per-message-deflate false --uds /run/x.sock --loop uvloop"
    )
    assert one["table"] == {
        "app": "app:app",
        "loop": "uvloop",
        "host": "127.0.0.1",
        "port": 80,
        "bind": "unix:/run/x.sock",
        "trusted-proxies": "none",
        "workers": 2,
        "access-log": False,
        "keepalive-timeout": 7,
        "websocket-max-message": 1024,
        "websocket-compression": False,
        "server-header": "",
    }


def test_a_command_line_of_granian(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
    one = found(
        "granian --interface asginl app:app --port 9000 --workers-lifetime 12h"
        " --workers-max-rss 300 --static-path-mount a --static-path-mount b --static-path-route /x"
        " --http1-header-read-timeout 500 --http 1 --no-http1-keep-alive --loop rloop --metrics"
    )
    assert one["table"] == {
        "app": "app:app", "interface": "asgi", "port": 9000, "max-lifetime": 43200,
        "max-memory": "300m", "static": ["/x=a", "/static=b"], "headers-timeout": 0.5,
        "http2": False, "keepalive-timeout": 0,
    }  # fmt: skip
    assert verdicts(one)["--loop"] == verdicts(one)["--metrics"] == "no equivalent"


@pytest.mark.parametrize(("value", "kept"), [("/var/tmp/shop", True), ("/dev/shm", False)])
def test_the_folder_of_gunicorn_for_signs_of_life_is_not_used_if_it_is_in_memory(
    folder: Path, value: str, kept: bool
) -> None:
    one = found(f"gunicorn app:app --worker-tmp-dir {value}")
    assert ("worker-tmp-dir" in one["table"]) is kept


def test_a_command_line_of_hypercorn(folder: Path) -> None:
    one = found("hypercorn asgi:app:app -b 0.0.0.0:80 --keep-alive 9 --quic-bind :443")
    assert one["table"] == {
        "app": "app:app",
        "interface": "asgi",
        "bind": "0.0.0.0:80",
        "keepalive-timeout": 9,
    }
    assert verdicts(one)["--quic-bind"] == "no equivalent"


def test_a_command_line_of_daphne(folder: Path) -> None:
    one = found("daphne -b 0.0.0.0 -p 81 --proxy-headers --no-server-name app:app")
    assert one["table"] == {"app": "app:app", "host": "0.0.0.0", "port": 81, "server-header": ""}
    assert verdicts(one)["--proxy-headers"] == "no equivalent"


def test_a_command_line_of_uwsgi(folder: Path) -> None:
    one = found("uwsgi --http :8080 --wsgi-file app.py --callable app -p 2 --threads 3 -M")
    assert one["table"] == {
        "app": "app.py:app",
        "bind": "0.0.0.0:8080",
        "workers": 2,
        "threads": 3,
    }


def test_words_need_not_be_quoted(folder: Path) -> None:
    result = CliRunner().invoke(
        make_group(), ["migrate", "--json", "--", "gunicorn", "-w", "2", "a:b"]
    )
    assert json.loads(result.output)["migrations"][0]["table"]["workers"] == 2


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nginx -c x", "neither a file nor the command line of a server"),
        ("gunicorn 'app", "Close its quotes"),
        ("gunicorn -w", "-w needs a value"),
        ("uvicorn app:app --port", "--port needs a value"),
        ("gunicorn -c missing.py app:app", "There is no file missing.py"),
        ("app.txt", "is not a file that can be migrated"),
    ],
)
def test_a_source_that_cannot_be_used_is_reported(folder: Path, text: str, part: str) -> None:
    (folder / "app.txt").write_text("x")
    assert part in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "gunicorn -w many app:app",
        "gunicorn --nonsense 3 app:app",
        "gunicorn --forwarded-allow-ips nonsense app:app",
        "gunicorn --ciphers 'a\nb' --http-protocols h3 --cert-reqs 7 app:app",
    ],
)
def test_a_value_or_option_that_cannot_be_used_has_no_equal(folder: Path, text: str) -> None:
    assert "no equivalent" in verdicts(found(text)).values()


@given(st.lists(st.text(min_size=1, max_size=8), max_size=6))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    for server in SERVERS.values():
        try:
            list(read_words(tuple(words), server, "x"))
        except WrongFile:
            pass
    find_command(["gunicorn", *words])


# --- files of uWSGI

INI = """
; comment
[other]
processes = 99
[uwsgi]
base = /srv
module = app
callable = app
master = true
processes = 4
socket = %(base)/%n.sock
chmod-socket = 660
harakiri_verbose = true
disable-logging = true
enable-threads = false
limit-post = 1024
static-map = /static=.
static-map = /media=.
nonsense-option = 1
"""


def test_an_ini_file_of_uwsgi(folder: Path) -> None:
    (folder / "shop.ini").write_text(INI)
    one = found("shop.ini")
    assert one["table"] == {
        "app": "app:app",
        "bind": "unix:/srv/shop.sock",
        "socket-mode": "660",
        "static": ["/static=.", "/media=."],
        "workers": 4,
        "threads": 1,
        "access-log": False,
        "limit-body": 1024,
    }
    assert verdicts(one)["socket"] == "similar"
    assert "proxy_pass" in note(one, "socket")
    assert verdicts(one)["nonsense-option"] == "no equivalent"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "x.yaml",
            "uwsgi:\n  module: app:app\n  processes: 3\n  http: ':80'\nx:\n  processes: 9",
        ),
        ("x.json", '{"uwsgi": {"module": "app:app", "processes": 3, "http": [":80"]}}'),
        (
            "x.xml",
            "<uwsgi><module>app:app</module><processes>3</processes><http>:80</http></uwsgi>",
        ),
    ],
)
def test_other_forms_of_the_file(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    one = found(name)
    assert one["table"] == {"app": "app:app", "bind": "0.0.0.0:80", "workers": 3, "threads": 1}


@pytest.mark.parametrize(
    ("name", "text"), [("x.json", "[1]"), ("x.json", "{"), ("x.xml", "<a"), ("x.ini", "[a]\nb=c")]
)
def test_a_file_that_is_not_of_uwsgi_is_reported(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    assert "Error: x." in refused(name)


# --- whole files


def test_a_procfile(folder: Path) -> None:
    (folder / "Procfile").write_text(
        "# processes\nrelease: ./migrate.sh\nweb: exec gunicorn app:app -w 3 --bind :$PORT\n"
        "worker: celery -A app worker\n"
    )
    assert found("Procfile")["changes"] == [
        {
            "line": 3,
            "old": "web: exec gunicorn app:app -w 3 --bind :$PORT",
            "new": "web: carboy run app:app --workers 3 --threads 1",
        }
    ]


DOCKERFILE = """\
FROM python:3.13 AS build
CMD ["gunicorn", "old:app"]
FROM python:3.13-slim
ENV GUNICORN_CMD_ARGS="--workers 3" \\
    SHOP=1
RUN pip install --no-cache-dir 'flask>=3' \\
      gunicorn==23.0 "uvicorn[standard]"
"""


@pytest.mark.parametrize(
    ("text", "new"),
    [
        (
            'CMD ["gunicorn", "-b", "0.0.0.0:80", "app:app"]',
            [
                'CMD ["carboy", "run", "app:app", "--bind", "0.0.0.0:80", "--workers", "3",'
                ' "--threads", "1"]'
            ],
        ),
        (
            "CMD gunicorn -b 0.0.0.0:$PORT --threads $T app:app && echo end",
            ['CMD exec carboy run app:app --workers 3 --threads "$T" && echo end'],
        ),
        (
            'ENTRYPOINT ["gunicorn"]\nCMD ["--threads", "2", "app:app"]',
            [
                'ENTRYPOINT ["carboy", "run"]',
                'CMD ["app:app", "--workers", "3", "--threads", "2"]',
            ],
        ),
        (
            'ENTRYPOINT ["tini", "--"]\nCMD ["python", "-m", "gunicorn", "--threads=2", "app:app"]',
            ['CMD ["carboy", "run", "app:app", "--workers", "3", "--threads", "2"]'],
        ),
        (
            'ENTRYPOINT ["sh", "-c", "gunicorn --threads ${T} app:app"]',
            ['ENTRYPOINT exec carboy run app:app --workers 3 --threads "${T}"'],
        ),
    ],
)
def test_a_dockerfile(folder: Path, text: str, new: list[str]) -> None:
    (folder / "Dockerfile").write_text(DOCKERFILE + text)
    changes = found("Dockerfile")["changes"]
    assert [each["line"] for each in changes] == [4, 6, *range(8, 8 + len(new))] or len(new) == 1
    assert changes[0]["new"] == "ENV SHOP=1"
    assert changes[1]["new"] == "RUN pip install --no-cache-dir 'flask>=3' \\\n      carboy"
    assert [each["new"] for each in changes[2:]] == new


def test_a_unit_of_systemd(folder: Path) -> None:
    (folder / "shop.service").write_text(
        "[Service]\nExecStartPre=/bin/true\n"
        "ExecStart=/srv/venv/bin/gunicorn \\\n    --workers 2 --threads 2 app:app\n"
    )
    (change,) = found("shop.service")["changes"]
    assert (change["line"], change["new"]) == (
        3,
        "ExecStart=/srv/venv/bin/carboy run app:app --workers 2 --threads 2",
    )


def test_a_file_that_starts_no_server_is_reported(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM x\nRUN pip install gunicorn\nCMD ['a'\n")
    assert "does not start gunicorn" in refused("Dockerfile")


# --- what is printed


def test_the_text_has_a_command_a_table_and_all_findings(folder: Path) -> None:
    (folder / "gunicorn.conf.py").write_text(GUNICORN)
    text = migrate("gunicorn.conf.py")
    table = text[text.index("[tool.carboy]") : text.index("\n\nThe same:")]
    assert tomllib.loads(table)["tool"]["carboy"]["threads"] == 4
    titles = ("The same:", "No equivalent:", "Similar, but not the same:", "Other defaults than")
    for title in titles:
        assert title in text


def test_the_command_passes_the_check(folder: Path) -> None:
    from running import Running

    (folder / "shop.ini").write_text(INI.replace("%(base)/%n", "shop"))
    words = shlex.split(found("shop.ini")["command"])[1:]
    with Running(*words, "--check-config", cwd=folder) as running:
        assert running.wait() == 0, running.text()


@pytest.mark.parametrize("line", ["uvicorn shop:app --foo 3", "uvicorn --foo 3 shop:app"])
def test_the_value_of_an_unknown_option_is_not_the_application(line: str) -> None:
    command = find_command(line.split())
    assert command is not None
    found = list(read_words(command.words, command.server, "command"))
    assert [each.value for each in found if each.name == command.server.positional] == ["shop:app"]
    assert [each.text for each in found if each.name == "--foo"] == ["--foo 3"]
