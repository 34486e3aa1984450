"""The names flask and werkzeug mean Carboy; each test has its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ready_commands

INSTALL = "import carboy.compat; carboy.compat.install()\n"

# Names that Flask and Werkzeug no longer have; libraries test for them.
ABSENT = [
    "flask.Markup",
    "flask.Module",
    "flask._request_ctx_stack",
    "flask._app_ctx_stack",
    "flask.json.JSONEncoder",
    "flask.helpers._endpoint_from_view_func",
    "flask.helpers.locked_cached_property",
    "flask.signals.signals_available",
    "werkzeug.http.parse_authorization_header",
    "werkzeug.wrappers.BaseResponse",
    "werkzeug.security.safe_str_cmp",
    "werkzeug.urls.url_parse",
    "werkzeug.wsgi.DispatcherMiddleware",
    "werkzeug.debug.tbtools.get_current_traceback",
]

# Names with an underscore that libraries import.
PRIVATE = [
    "flask.globals._cv_app",
    "flask.ctx._AppCtxGlobals",
    "flask.json.provider._default",
    "flask.sansio.scaffold._endpoint_from_view_func",
    "flask.templating._render",
    "werkzeug.exceptions._aborter",
]


def clean() -> dict[str, str]:
    # Commands of other tests in this process may have set the variable of the command line.
    return {k: v for k, v in os.environ.items() if not k.startswith(("FLASK_", "CARBOY_"))}


def python(code: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments, *(["-c", code] if code else [])],
        check=False,
        env=clean() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # they take a second to load
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
    )


def out(code: str) -> str:
    done = ready_commands.program(INSTALL + code, env=clean())
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_classes_are_the_same_objects_under_both_names() -> None:
    assert (
        out(
            "import carboy, carboy.http\n"
            "from flask import Flask, Blueprint, request\n"
            "from werkzeug.wrappers import Response\n"
            "from werkzeug.datastructures import MultiDict\n"
            "import flask.app, flask.sansio.app\n"
            "print(Flask is carboy.Flask is flask.app.Flask,"
            " issubclass(Flask, flask.sansio.app.App), issubclass(carboy.Response, Response),"
            " MultiDict is carboy.http.MultiDict,"
            " request is carboy.request)"
        ).split()
        == ["True"] * 5
    )


def test_an_application_calls_itself_flask() -> None:
    assert out("import flask; print(repr(flask.Flask('name')))") == "<Flask 'name'>\n"


def test_an_application_runs_unchanged() -> None:
    assert (
        out(
            "from flask import Flask, jsonify\n"
            "app = Flask(__name__)\n"
            "app.add_url_rule('/', view_func=lambda: jsonify(a=1), endpoint='x')\n"
            "print(app.test_client().get('/').json)"
        ).strip()
        == "{'a': 1}"
    )


IS_THERE = """
import importlib
for name in {names}:
    module, _, attribute = name.rpartition(".")
    try: module = importlib.import_module(module)
    except ModuleNotFoundError: continue
    if hasattr(module, attribute): print(name)
"""


def test_names_that_flask_has_removed_do_not_exist() -> None:
    assert out(IS_THERE.format(names=ABSENT)) == ""


def test_names_with_an_underscore_that_libraries_import_exist() -> None:
    assert out(IS_THERE.format(names=PRIVATE)).split() == PRIVATE


def test_a_module_that_carboy_does_not_have_is_not_taken_from_the_real_package() -> None:
    done = python(INSTALL + "import werkzeug.contrib")
    assert "ModuleNotFoundError" in done.stderr
    assert "werkzeug.contrib" in done.stderr


@pytest.mark.parametrize("real", ["flask", "werkzeug.http"])
def test_installing_after_the_real_flask_was_imported_is_an_error_with_advice(real: str) -> None:
    done = python(f"import {real}\n" + INSTALL)
    assert done.returncode == 1
    assert "was imported before carboy.compat.install()" in done.stderr


def test_installing_twice_is_harmless() -> None:
    assert out(INSTALL + "import flask\n" + INSTALL + "print(flask.Flask.__module__)").strip()


def test_replacing_a_name_reaches_what_carboy_calls() -> None:
    assert out(
        "import werkzeug.serving, flask\n"
        "werkzeug.serving.run_simple = lambda *a, **k: print('replaced', a[0])\n"
        "flask.Flask(__name__).run()"
    ).endswith("replaced 127.0.0.1\n")


def test_versions_are_those_of_the_real_packages() -> None:
    assert out(
        "import warnings, importlib.metadata as m\n"
        "import flask\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    print(flask.__version__, m.version('Flask'), m.version('werkzeug'))\n"
        "assert caught[0].category is DeprecationWarning"
    ).split() == ["3.1.3", "3.1.3", "3.1.9"]


def test_a_script_runs_under_the_names(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("import flask\nname = flask.Flask.__module__\n")
    script = tmp_path / "script.py"
    script.write_text("import sys, beside\nprint(__name__, beside.name, sys.argv[1:])\n")
    done = python("", "-m", "carboy.compat", str(script), "--x")
    assert done.stdout == "__main__ carboy.app.app ['--x']\n", done.stderr


def test_a_test_run_can_ask_for_the_names(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from flask import Flask\n\ndef test(): assert Flask.__module__ == 'carboy.app.app'\n"
    )
    done = python("", "-m", "pytest", "-q", "-p", "carboy.compat.pytest", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_forked_server_of_a_test_run_has_nothing_to_load(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import os, sys\n"
        "from flask import Flask\n"
        "from werkzeug.serving import BaseWSGIServer\n\n"
        "def serve(server):\n"
        "    loaded = {name for name in sys.modules if name.startswith('carboy.')} - before\n"
        "    print(sorted(loaded), file=sys.stderr)\n"
        "    os._exit(bool(loaded))\n\n"
        "def test():\n"
        "    global before\n"
        "    BaseWSGIServer.serve_forever = serve\n"
        "    if not (child := os.fork()):\n"
        "        before = set(sys.modules)\n"
        "        Flask('x').run(port=0, use_reloader=False)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = python("", "-m", "pytest", "-q", "-s", "-p", "carboy.compat.pytest", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("option", "lane"), [((), "server"), (("--carboy-lane", "wsgi"), "wsgi")])
def test_a_test_run_chooses_the_lane_of_its_clients(
    tmp_path: Path, option: tuple[str, ...], lane: str
) -> None:
    (tmp_path / "test_it.py").write_text(
        "from flask import Flask, request\n\n"
        "def test():\n"
        "    app = Flask('x')\n"
        "    app.add_url_rule('/', 'v', lambda: str(request._exchange is not None))\n"
        "    client = app.test_client()\n"
        f"    assert client.lane == {lane!r}\n"
        f"    assert client.get('/').text == str({lane != 'wsgi'})\n"
    )
    done = python(
        "", "-m", "pytest", "-q", "-p", "carboy.compat.pytest", *option, ".", cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_sansio_application_adds_no_static_route() -> None:
    assert (
        out(
            "import flask, flask.sansio.app as sansio\n"
            "class App(sansio.App): pass\n"
            "app = App('x', static_folder='/tmp')\n"
            "print(list(app.url_map.iter_rules()), isinstance(app, sansio.App),"
            " isinstance(flask.Flask('x'), App), isinstance(flask.Flask('x'), sansio.App))"
        )
        == "[] True False True\n"
    )


def test_a_sansio_response_has_no_body() -> None:
    assert (
        out(
            "import werkzeug.sansio.response as sansio, werkzeug.wrappers as w\n"
            "class Mine(sansio.Response): pass\n"
            "mine = Mine(404, {'A': 'b'}, 'text/plain')\n"
            "mine.set_cookie('a', 'b')\n"
            "print(mine.status, list(mine.headers), isinstance(mine, w.Response),"
            " isinstance(w.Response(), Mine), isinstance(w.Response(), sansio.Response))"
        )
        == "404 NOT FOUND [('A', 'b'), ('Content-Type', 'text/plain; charset=utf-8'),"
        " ('Set-Cookie', 'a=b; Path=/')] False False True\n"
    )
