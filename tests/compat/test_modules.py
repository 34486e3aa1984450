"""The modules of Flask and Werkzeug as programs see them: names, files, patches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ready_commands
from compat.sides import clean
from compat.surface_modules import MODULES

START = """
import json, sys
if sys.argv[1] == "carboy":
    import carboy.compat
    carboy.compat.install()
"""


def both(code: str) -> tuple[Any, Any]:
    """The JSON that code prints on Carboy, and on the real packages."""
    found = []
    for side, kind in (("carboy", "programs"), ("real", "programs of Flask")):
        done = ready_commands.program(START + code, side, env=clean(), kind=kind, quiet=True)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found[0], found[1]


def ours(code: str) -> Any:
    return both(f"if sys.argv[1] == 'real':\n    print(0)\n    sys.exit()\n{code}")[0]


NAMES = """
import importlib
found = {}
for path in %r:
    module = importlib.import_module(path)
    found[path] = [name for name in dir(module) if not name.startswith('__')]
print(json.dumps(found))
"""

# Internal names of the real code that programs do not use: patterns, tables and helpers.
INTERNAL = set(Path(__file__).with_name("internal.txt").read_text().split())


def test_every_name_of_a_module_exists_including_imported_names() -> None:
    paths = [*MODULES.split(), "flask.sansio", "werkzeug", "werkzeug.sansio"]
    real = both(NAMES % paths)[1]
    missing = ours(
        f"import importlib\nreal = {real!r}\n"
        "print(json.dumps([f'{path}.{name}' for path, names in real.items() for name in names"
        " if not hasattr(importlib.import_module(path), name)]))"
    )
    assert [path for path in missing if path.rpartition(".")[2] not in INTERNAL] == []


def test_every_name_in_dir_can_be_read() -> None:
    code = """
import importlib
from carboy.compat.module_map import MODULE_MAP
missing = []
for path in MODULE_MAP:
    if path.endswith("__main__"):
        continue
    module = importlib.import_module(path)
    missing += [f"{path}.{name}" for name in dir(module) if not hasattr(module, name)]
print(json.dumps(missing))
"""
    assert ours(code) == []


@pytest.mark.parametrize("package", ["flask", "werkzeug", "werkzeug.debug", "flask.json"])
def test_pkgutil_finds_the_modules(package: str) -> None:
    code = (
        "import importlib, pkgutil\n"
        f"package = importlib.import_module({package!r})\n"
        f"walk = pkgutil.walk_packages(package.__path__, {package + '.'!r})\n"
        "print(json.dumps([[each.name, each.ispkg] for each in walk]))"
    )
    mine, real = both(code)
    # Without modules that run a program, and without Flask's namespace package.
    assert [each for each in real if each not in mine and "__main__" not in each[0]] == []
    assert [each for each in mine if each not in real and "sansio" not in each[0]] == []


def test_files_and_sources_are_found() -> None:
    code = """
import importlib.resources, inspect, os, pkgutil
import flask, flask.helpers, werkzeug.datastructures, werkzeug.debug
things = [flask, flask.helpers, flask.url_for, flask.Response, werkzeug.datastructures.MultiDict]
shared = importlib.resources.files("werkzeug.debug") / "shared"
print(json.dumps([
    [os.path.exists(inspect.getfile(thing)) for thing in things],
    [len(inspect.getsource(thing)) > 10 for thing in things],
    inspect.getmodule(flask.url_for).__name__,
    (shared / "style.css").is_file(),
    pkgutil.get_data("werkzeug.debug", "shared/debugger.js") is not None,
]))
"""
    mine, real = both(code)
    assert mine == real


def test_annotations_of_classes_can_be_read() -> None:
    code = (
        "import typing, flask.views\n"
        "class View(flask.views.MethodView):\n    x: 'int'\n"
        "print(json.dumps(sorted(typing.get_type_hints(View))))"
    )
    mine, real = both(code)
    assert mine == real


def test_the_packages_have_their_metadata() -> None:
    code = """
import importlib.metadata as metadata
found = metadata.distribution("Flask")
scripts = metadata.entry_points(group="console_scripts", name="flask")
listed = {each.metadata["Name"]: each.version for each in metadata.distributions()}
print(json.dumps([
    found.metadata["Name"], found.version, metadata.version("werkzeug"),
    {each.value for each in scripts} == {"flask.cli:main"}, listed["Flask"], listed["Werkzeug"],
    set(metadata.packages_distributions()["flask"]) == {"Flask"},
    [[r for r in metadata.requires(n) if "extra" not in r and "python_version" not in r]
     for n in ("flask", "werkzeug")],
]))
"""
    mine, real = both(code)
    assert mine == real


@pytest.mark.parametrize(
    ("code", "kind", "begins"),
    [
        ("import flask; flask.nothing", "AttributeError", "module 'flask' has no attribute"),
        ("from flask import nothing", "ImportError", "cannot import name 'nothing' from 'flask'"),
        ("import flask.nothing", "ModuleNotFoundError", "No module named 'flask.nothing'"),
        ("from werkzeug.http import no", "ImportError", "cannot import name 'no' from 'werkzeug."),
        ("import werkzeug.utils as u; u.no", "AttributeError", "module 'werkzeug.utils' has no"),
        ("from werkzeug.contrib import x", "ModuleNotFoundError", "No module named 'werkzeug.c"),
    ],
)
def test_a_missing_name_is_reported_with_the_package_that_carboy_replaces(
    code: str, kind: str, begins: str
) -> None:
    told = (
        f"try:\n    exec({code!r})\n"
        "except Exception as error: print(json.dumps([type(error).__name__, str(error)]))"
    )
    mine, real = both(told)
    assert mine[0] == real[0] == kind
    assert mine[1].startswith(begins)
    # Flask's message is only the name, where Flask warns about its version.
    assert real[1].startswith(begins) or real[1] == "nothing"
    assert "Carboy is used in place of" in mine[1]
    assert "report that" in mine[1]


def test_a_missing_name_can_be_tested_for_in_every_way() -> None:
    code = (
        "import flask\nprint(json.dumps([hasattr(flask, 'Markup'), getattr(flask, 'Markup', 1)]))"
    )
    mine, real = both(code)
    assert mine == real


# name that is replaced: code that then calls it
PATCHES = {
    "flask.helpers.werkzeug.utils.send_file": "request(lambda: flask.send_file(FILE).close())",
    "werkzeug.utils.send_file": "request(lambda: flask.send_file(FILE).close())",
    "werkzeug.utils.send_from_directory": (
        "request(lambda: flask.send_from_directory(FOLDER, 'a.txt').close())"
    ),
    "flask.helpers._wz_redirect": "flask.redirect('/x')",
    "flask.helpers._wz_abort": "aborted()",
    "flask.sansio.scaffold.get_root_path": "flask.Flask('json')",
    "flask.sansio.app.find_package": "flask.Flask('json').instance_path",
    "flask.sansio.app.create_logger": "flask.Flask('x').logger",
    "flask.app.RequestContext": "app.test_request_context('/')",
    "flask.app.AppContext": "app.app_context()",
    "flask.templating._render": "request(lambda: flask.render_template_string('x'))",
    "flask.json.provider.http_date": "request(lambda: flask.jsonify(datetime.date(2026, 1, 1)))",
    "flask.testing.EnvironBuilder": "app.test_client().get('/')",
    "flask.config.import_string": "app.config.from_object('json')",
    "flask.logging.has_level_handler": "flask.Flask('another').logger",
    "werkzeug.formparser.SpooledTemporaryFile": "formparser.default_stream_factory(10**8, '', '')",
    "werkzeug.formparser.MultiPartParser": "form()",
    "werkzeug.security.gen_salt": "security.generate_password_hash('x', 'pbkdf2:sha256:1')",
    "werkzeug.security._hash_internal": "security.generate_password_hash('x', 'pbkdf2:sha256:1')",
    "werkzeug.security.secrets.choice": "security.gen_salt(3)",
    "werkzeug.utils.safe_join": (
        "werkzeug.utils.send_from_directory(FOLDER, 'a.txt', ENVIRON).close()"
    ),
    "werkzeug.utils.mimetypes.guess_type": "werkzeug.utils.send_file(FILE, ENVIRON).close()",
    "werkzeug.utils.time": "werkzeug.utils.send_file(FILE, ENVIRON, max_age=5).close()",
    "werkzeug.utils.adler32": "werkzeug.utils.send_file(FILE, ENVIRON).close()",
    "werkzeug.sansio.response.dump_cookie": "flask.Response().set_cookie('a')",
    "werkzeug.test.run_wsgi_app": "app.test_client().get('/')",
}
PATCHING = """
import datetime, io, pathlib, tempfile
from unittest import mock
import flask, flask.testing, werkzeug.exceptions, werkzeug.formparser as formparser
import werkzeug.security as security, werkzeug.test, werkzeug.utils, werkzeug.wrappers

FOLDER = tempfile.mkdtemp()
FILE = f"{FOLDER}/a.txt"
pathlib.Path(FILE).write_text("a")
ENVIRON = {"REQUEST_METHOD": "GET"}
app = flask.Flask("x", static_folder=None)
app.secret_key = "k"
app.add_url_rule("/", endpoint="i", view_func=lambda: "")

def request(function):
    with app.test_request_context("/"):
        return function()

def aborted():
    try:
        flask.abort(404)
    except werkzeug.exceptions.NotFound:
        pass

def form():
    data = {"a": (io.BytesIO(b"x"), "n")}
    return werkzeug.wrappers.Request.from_values(method="POST", data=data).form

class Hit(Exception): pass
def hit(*args, **kwargs): raise Hit

def outcome(call):
    try:
        eval(call)
    except Hit:
        return "hit"
    return "not hit"

found = {}
for name, call in PATCHES.items():
    found[name] = [outcome(call)]
    for _ in range(2):
        with mock.patch(name, hit):
            found[name].append(outcome(call))
        found[name].append(outcome(call))
print(json.dumps(found))
"""


def test_replacing_a_name_reaches_its_users_until_the_end_of_the_test() -> None:
    mine, real = both(f"PATCHES = {PATCHES!r}\n{PATCHING}")
    assert mine == real
    assert {tuple(outcomes) for outcomes in real.values()} == {
        ("not hit", "hit", "not hit", "hit", "not hit")
    }


def test_separators_of_another_system_can_be_set() -> None:
    code = """
from unittest import mock
import werkzeug.security as security
def joined(): return security.safe_join("/a", "..\\\\b") is None
before = joined()
with mock.patch("werkzeug.security._os_alt_seps", ["\\\\"]):
    during = joined()
print(json.dumps([before, during, joined()]))
"""
    mine, real = both(code)
    assert mine == real == [False, True, False]


def test_a_deleted_name_is_restored() -> None:
    code = """
import pytest
import flask.helpers
patch = pytest.MonkeyPatch()
patch.delattr("flask.helpers.url_for")
gone = hasattr(flask.helpers, "url_for")
patch.undo()
patch.setattr("flask.helpers.flash", 1)
patch.undo()
print(json.dumps([gone, hasattr(flask.helpers, "url_for"), callable(flask.helpers.flash)]))
"""
    mine, real = both(code)
    assert mine == real == [False, True, True]


def test_a_program_can_read_the_dict_of_a_module() -> None:
    code = """
import inspect, importlib.util
import flask, flask.helpers, werkzeug.utils
print(json.dumps([
    "Flask" in vars(flask), flask.helpers.__dict__["url_for"] is flask.url_for,
    [name for name, _ in inspect.getmembers(werkzeug.utils, inspect.isfunction) if name[0] != "_"],
    werkzeug.utils.import_string("flask.json.jsonify").__name__,
    sorted(werkzeug.utils.find_modules("werkzeug.debug")),
]))
"""
    mine, real = both(code)
    assert [mine[0], mine[1], mine[3:]] == [real[0], real[1], real[3:]]
    assert set(real[2]) <= set(mine[2])


def test_a_module_defines_the_same_names_as_the_real_one() -> None:
    code = f"""
import importlib, inspect
found = {{}}
for path in {MODULES.split()!r}:
    module = importlib.import_module(path)
    found[path] = [
        name for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == path
    ]
print(json.dumps(found))
"""
    mine, real = both(code)
    private = {"_host", "_current_url", "_SansIORequest", "_SansIOResponse", "SansioBlueprint"}
    missing, extra = {}, {}
    for path, names in real.items():
        missing[path] = {each for each in names if each[0] != "_"} - set(mine[path])
        extra[path] = set(mine[path]) - set(names) - private
    assert {path: names for path, names in extra.items() if names} == {}
    assert {path: names for path, names in missing.items() if names} == {
        "flask.app": {"Flask"},  # shows which one runs
        "flask.sansio.blueprints": {"Blueprint"},  # one class
        "werkzeug.debug": {"get_machine_id"},  # has a cache around it
    }


@pytest.mark.parametrize("name", ["flask.nothing", "werkzeug.contrib", "werkzeug.wrappers.json"])
def test_a_module_that_is_missing_has_no_spec(name: str) -> None:
    code = f"import importlib.util\nprint(json.dumps(importlib.util.find_spec({name!r})))"
    assert both(code) == (None, None)


def test_a_name_set_on_a_module_stays_there_until_it_is_deleted() -> None:
    code = """
import flask
flask.mine = 1
found = [flask.mine, vars(flask)["mine"]]
del flask.mine
print(json.dumps([*found, hasattr(flask, "mine")]))
"""
    mine, real = both(code)
    assert mine == real == [1, 1, False]


def test_a_star_import_gives_the_same_names_as_in_the_real_packages() -> None:
    code = (
        "names = {}\nexec('from flask import *', names)\n"
        "print(*(name for name in names if not name.startswith('__')))"
    )
    install = "import carboy.compat\ncarboy.compat.install()\n"
    real, ours = (
        set(subprocess.check_output([sys.executable, "-c", each], text=True).split())
        for each in (code, install + code)
    )
    assert ours - {"Carboy"} == real - {"annotations", "t"}  # names for its own use


def test_a_filter_by_module_names_the_module_of_flask() -> None:
    code = """
import warnings, flask
app = flask.Flask("app", subdomain_matching=True)
app.config["SERVER_NAME"] = "dev.local"
with warnings.catch_warnings():
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "Current server name", UserWarning, "flask.app")
    app.test_client().get("/", "http://other.example")
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    environ = {**app.test_request_context().request.environ, "HTTP_HOST": "other"}
    app.url_map.bind_to_environ(environ, "dev.local")
print(json.dumps([str(each.category) for each in seen] + [seen[0].filename]))
"""
    carboy, real = both(code)
    assert carboy == real


def test_a_client_calls_itself_werkzeug() -> None:
    code = """
import flask, importlib.metadata
app = flask.Flask("app")
app.add_url_rule("/", "", lambda: str(flask.request.user_agent))
version = importlib.metadata.version("werkzeug")
print(json.dumps(app.test_client().get("/").text.replace(version, "VERSION")))
"""
    carboy, real = both(code)
    assert carboy == real == "Werkzeug/VERSION"


def test_files_of_a_package_are_served_by_its_name() -> None:
    code = """
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.test import Client
client = Client(SharedDataMiddleware(lambda *_: [], {"/pkg": ("werkzeug.debug", "shared")}))
response = client.get("/pkg/debugger.js")
print(json.dumps([response.status_code, response.mimetype, b"function" in response.data]))
"""
    carboy, real = both(code)
    assert carboy == real


def test_names_that_come_and_go_are_listed() -> None:
    code = """
import werkzeug.serving as module
found = [["a_new_name" in dir(module), dir(module) == sorted(dir(module))]]
for name in ("a_new_name", "another"):
    setattr(module, name, 1)
    found.append([each in dir(module) for each in ("a_new_name", "another")])
    delattr(module, name)
    found.append([each in dir(module) for each in ("a_new_name", "another")])
dir(module).clear()
print(json.dumps([found, len(dir(module)) > 9]))
"""
    carboy, real = both(code)
    assert carboy == real
