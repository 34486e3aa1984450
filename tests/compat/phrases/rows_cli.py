"""The `flask` command and the search for its application."""

from __future__ import annotations

import os
import ssl
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import flask
from click.testing import CliRunner
from flask import cli
from flask.cli import NoAppException
from rows_serving import CRYPTOGRAPHY, missing
from table import case, row, rows

NO_APP = "Could not locate a Flask application"
FILES = {
    "broken_module.py": "import not_there_at_all",
    "solo_module.py": "import flask\napp = flask.Flask('solo')",
    "empty_module.py": "x = 1",
    "two_module.py": "import flask\na = flask.Flask('a')\nb = flask.Flask('b')",
    "key.pem": "x",
}
for _name, _text in FILES.items():
    Path(_name).write_text(_text)


def made(**names: Any) -> types.ModuleType:
    module = types.ModuleType("made")
    vars(module).update(names)
    return module


def best(**names: Any) -> Callable[[], Any]:
    return lambda: cli.find_best_app(made(**names))


def named(text: str) -> Callable[[], Any]:
    module = made(app=flask.Flask("a"), create=lambda x: flask.Flask("a"), n=5, none=lambda: None)
    return lambda: cli.find_app_by_string(module, text)


for _name, _phrase, _provoke in (
    (
        "two applications",
        "Detected multiple Flask applications in module 'made'",
        best(a=flask.Flask("a"), b=flask.Flask("b")),
    ),
    (
        "two applications, how",
        "Use 'made:name' to specify",
        best(a=flask.Flask("a"), b=flask.Flask("b")),
    ),
    ("no application", "Failed to find Flask application or factory in module 'made'", best()),
    ("no application, how", "Use 'made:name' to specify", best()),
    (
        "factory that needs something",
        "Detected factory 'create_app' in module 'made', but",
        best(create_app=lambda x: 1),
    ),
    (
        "factory that needs something, why",
        "could not call it without arguments",
        best(create_app=lambda x: 1),
    ),
    (
        "factory of something else",
        "Failed to find Flask application or factory",
        best(create_app=lambda: 3),
    ),
    ("no attribute", "Failed to find attribute 'nope' in 'made'", named("nope")),
    ("no factory", "Failed to find attribute 'nope' in 'made'", named("nope()")),
    (
        "neither name nor call",
        "Failed to parse 'a b' as an attribute name or function call",
        named("a b"),
    ),
    ("dotted name", "Failed to parse 'a.b' as an attribute name or function call", named("a.b")),
    ("call of a dotted name", "Function reference must be a simple name", named("app.create()")),
    ("name for an argument", "Failed to parse arguments as literal values", named("create(foo)")),
    (
        "call without arguments",
        "The factory 'create()' in module 'made' could not be called",
        named("create()"),
    ),
    ("factory by name", "could not be called with the specified arguments", named("create")),
    (
        "number for an application",
        "A valid Flask application was not obtained from 'made:n'",
        named("n"),
    ),
    (
        "factory of None",
        "A valid Flask application was not obtained from 'made:none()'",
        named("none()"),
    ),
    ("no module", "Could not import 'no_module'", lambda: cli.locate_app("no_module", None)),
    (
        "broken module",
        "While importing 'broken_module', an ImportError was raised",
        lambda: cli.locate_app("broken_module", None),
    ),
    (
        "empty module",
        "Failed to find Flask application or factory in module 'empty_module'",
        lambda: cli.locate_app("empty_module", None),
    ),
    ("nothing to go by", NO_APP, lambda: cli.ScriptInfo().load_app()),
    ("nothing to go by, how", "Use the 'flask --app' option", lambda: cli.ScriptInfo().load_app()),
):
    row(f"app: {_name}", NoAppException, _phrase, _provoke)
row("app: a usage error", click.UsageError, NO_APP, lambda: cli.ScriptInfo().load_app())


def run(*args: str, group: Any = None, without: str | None = None) -> Callable[[], Any]:
    def provoke() -> None:
        for name in ("FLASK_APP", "FLASK_DEBUG", "FLASK_RUN_FROM_CLI"):
            os.environ.pop(name, None)
        with missing(without or "a_package_of_nobody"):
            result = CliRunner().invoke(group or cli.cli, list(args))
        print(result.output)

    return provoke


for _name, _phrase, _provoke in (
    ("routes of nothing", f"Error: {NO_APP}", run("routes")),
    ("run of nothing", f"Error: {NO_APP}", run("run")),
    ("help on errors", "Try 'flask routes --help' for help", run("routes")),
    (
        "routes of no module",
        "Error: Could not import 'no_module'",
        run("--app", "no_module", "routes"),
    ),
    ("run of no module", "Error: Could not import 'no_module'", run("--app", "no_module", "run")),
    (
        "shell of no module",
        "Error: Could not import 'no_module'",
        run("--app", "no_module", "shell"),
    ),
    (
        "routes of a broken module",
        "Error: While importing 'broken_module'",
        run("--app", "broken_module", "routes"),
    ),
    (
        "routes of an empty module",
        "Error: Failed to find Flask application",
        run("--app", "empty_module", "routes"),
    ),
    (
        "routes of two",
        "Error: Detected multiple Flask applications",
        run("--app", "two_module", "routes"),
    ),
    ("unknown command", "Error: No such command 'nope'", run("--app", "solo_module", "nope")),
    (
        "unknown order",
        "Invalid value for '--sort'",
        run("--app", "solo_module", "routes", "--sort", "x"),
    ),
    (
        "missing file of variables",
        "Invalid value for '-e' / '--env-file'",
        run("--env-file", "nope.env", "routes"),
    ),
    (
        "variables without dotenv",
        "python-dotenv must be installed to load an env file",
        run("--env-file", "key.pem", "routes", without="dotenv"),
    ),
    (
        "adhoc without cryptography",
        f"Invalid value for '--cert': {CRYPTOGRAPHY}",
        run("--app", "solo_module", "run", "--cert", "adhoc", without="cryptography"),
    ),
    ("versions", "Werkzeug 3.1.", run("--version")),
    ("version of Flask", "Flask 3.1.", run("--version")),
    ("columns of routes", "Endpoint  Methods  Rule", run("--app", "solo_module", "routes")),
    (
        "no routes",
        "No routes were registered",
        run(
            "routes", group=cli.FlaskGroup(create_app=lambda: flask.Flask("x", static_folder=None))
        ),
    ),
    ("shell", "App: solo", run("--app", "solo_module", "shell")),
    ("shell's folder", "Instance: ", run("--app", "solo_module", "shell")),
    ("banner", " * Serving Flask app 'x'", lambda: cli.show_server_banner(True, "x")),
    ("banner with debug", " * Debug mode: on", lambda: cli.show_server_banner(True, "x")),
    ("banner without debug", " * Debug mode: off", lambda: cli.show_server_banner(False, "x")),
):
    row(f"command: {_name}", "output", _phrase, _provoke)


@case(
    "command: files of variables without dotenv", "output", " * Tip: There are .env files present."
)
def without_dotenv() -> None:
    Path(".env").write_text("A=1")
    try:
        with missing("dotenv"):
            cli.load_dotenv()
    finally:
        Path(".env").unlink()


def options(*args: str, without: str | None = None) -> Callable[[], Any]:
    def provoke() -> None:
        with missing(without or "a_package_of_nobody"):
            cli.run_command.make_context("run", list(args))

    return provoke


@case("run: key of a context", click.BadParameter, 'When "--cert" is an SSLContext object')
def key_of_a_context() -> None:
    sys.modules["a_context"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # type: ignore[assignment]
    options("--cert", "a_context", "--key", "key.pem")()


for _phrase, _provoked in {
    CRYPTOGRAPHY: {"run: adhoc without it": options("--cert", "adhoc", without="cryptography")},
    'Required when using "--cert"': {"run: no key": options("--cert", "key.pem")},
    '"--cert" must also be specified': {"run: no certificate": options("--key", "key.pem")},
    'When "--cert" is "adhoc", "--key" is not used': {
        "run: key of adhoc": options("--cert", "adhoc", "--key", "key.pem")
    },
    'Using "--cert" requires Python to be compiled with SSL': {
        "run: no TLS": options("--cert", "key.pem", without="ssl")
    },
    "does not exist": {"run: missing certificate": options("--cert", "not_there")},
    "'x' is not a valid integer": {"run: letters for a port": options("-p", "x")},
}.items():
    rows(click.BadParameter, _phrase, _provoked)
