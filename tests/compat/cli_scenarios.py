"""The results of many calls of `flask.cli`, as JSON lines. test_cli_agrees.py runs both sides."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path
from typing import Any

if sys.argv[1] == "carboy":
    import carboy.compat

    carboy.compat.install()

import click
import flask
import flask.cli as cli
from click.testing import CliRunner

Flask = flask.Flask
FOLDER = Path(sys.argv[2])


def tell(what: str, function: Any) -> None:
    try:
        result = function()
    except BaseException as error:
        result = type(error).__name__
    print(json.dumps([what, result], default=str))


def module(**names: Any) -> types.ModuleType:
    made = types.ModuleType("made")
    vars(made).update(names)
    return made


def own_type_error() -> Any:
    raise TypeError("of the factory itself")


FINDINGS: dict[str, dict[str, Any]] = {
    "app": {"app": Flask("a")},
    "application": {"application": Flask("a")},
    "the only one": {"mine": Flask("a")},
    "two": {"one": Flask("a"), "other": Flask("b")},
    "factory": {"create_app": lambda: Flask("a")},
    "factory that needs something": {"create_app": lambda needed: Flask("a")},
    "factory with a default": {"create_app": lambda needed=None: Flask("a")},
    "other factory": {"make_app": lambda **options: Flask("a")},
    "factory that fails": {"create_app": own_type_error},
    "factory of something else": {"create_app": lambda: 3},
    "nothing": {"x": 1},
}
EXPRESSIONS = [
    *("app", "create", "create(1)", "create(2, 3, z=4)", "create(foo)", 'create("x"', "nope"),
    *("app.name", "n", "s", "create(x=[1, 2])", "1", "app()", "create.app", "", "create(1, x=2)"),
]


def finding() -> None:
    for what, names in FINDINGS.items():
        tell(f"best: {what}", lambda names=names: cli.find_best_app(module(**names)).name)
    made = module(app=Flask("a"), create=lambda x=1, *a, **k: Flask(f"{x}{a}{k}"), n=None, s="text")
    for text in EXPRESSIONS:
        tell(f"by string: {text}", lambda text=text: cli.find_app_by_string(made, text).name)


FILES = {
    "pk/__init__.py": "",
    "pk/sub/__init__.py": "",
    "pk/sub/mm.py": "import flask\nx = flask.Flask('mm')\ndef create_app(): return x",
    "broken.py": "import not_there_at_all",
    "solo.py": "import flask\napp = flask.Flask('solo')",
    "wrong.py": "def (",
    "raises.py": "raise ValueError('on import')",
    "withapp/app.py": "import flask\napp = flask.Flask('app.py')",
    "withwsgi/wsgi.py": "import flask\napp = flask.Flask('wsgi.py')",
    "empty/readme": "",
}
PATHS = [
    *("pk", "pk/", "pk/__init__.py", "pk/sub/mm.py", "pk/sub/mm", "pk.sub.mm", "solo"),
    *("solo.py", "./solo.py", "nofile", "a/b.py", "a/__init__.py", "a/__init__"),
]
PLACES = [
    *(("pk.sub.mm", name) for name in (None, "x", "create_app()", "zz")),
    *((name, None) for name in ("broken", "nofile", "wrong", "raises", "solo")),
]  # fmt: skip
IMPORTS = [
    *("solo", "solo:app", "pk.sub.mm:create_app", "pk.sub.mm:create_app()", "solo.py"),
    *("pk/sub/mm.py:x", "nofile", "broken"),
]


def locating() -> None:
    for name, text in FILES.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text)
    os.chdir(FOLDER)
    before = list(sys.path)
    for path in PATHS:
        tell(f"prepare_import: {path}", lambda path=path: cli.prepare_import(path))
        tell(f"then on the path: {path}", lambda: sys.path[0].replace(str(FOLDER), "."))
        sys.path[:] = before
    sys.path.insert(0, str(FOLDER))
    for place in PLACES:
        tell(f"locate_app: {place}", lambda place=place: cli.locate_app(*place).name)
        tell(f"quietly: {place}", lambda place=place: _quietly(*place))
    for text in IMPORTS:
        tell(f"ScriptInfo: {text}", lambda text=text: cli.ScriptInfo(text).load_app().name)
    made = cli.ScriptInfo(create_app=lambda: Flask("made"))
    tell(
        "ScriptInfo: create_app", lambda: [made.load_app().name, made.load_app() is made.load_app()]
    )
    for folder in ("empty", "withapp", "withwsgi"):
        os.chdir(FOLDER / folder)
        tell(f"ScriptInfo: nothing in {folder}", lambda: cli.ScriptInfo().load_app().name)
    os.chdir(FOLDER)


def _quietly(*place: Any) -> Any:
    found = cli.locate_app(*place, raise_if_not_found=False)
    return found and found.name


def application() -> Flask:
    app = Flask("solo")

    @app.cli.command("hello")
    def hello() -> None:
        click.echo(f"{flask.current_app.name} {flask.has_request_context()}")

    @app.cli.command("bare", with_appcontext=False)
    def bare() -> None:
        click.echo(flask.has_app_context())

    for name, options in (
        ("named", {"cli_group": "group"}),
        ("merged", {"cli_group": None}),
        ("own", {}),
    ):
        blueprint = flask.Blueprint(name, name, **options)  # type: ignore[arg-type]

        @blueprint.cli.command(f"run-{name}")
        @click.argument("number", default=3, type=int)
        def command(number: int) -> None:
            click.echo(f"{number} {flask.has_app_context()}")

        app.register_blueprint(blueprint)
    again = flask.Blueprint("again", "again")

    @again.cli.command("z")
    def z() -> None:
        click.echo("z")

    app.register_blueprint(again, cli_group="other")
    app.add_url_rule("/a/<int:x>", "a", methods=["GET", "POST"])
    app.add_url_rule("/b", "b", methods=["DELETE"], subdomain="s")
    return app


COMMANDS = [
    *(["hello"], ["bare"], ["group", "run-named"], ["group", "run-named", "7"], ["run-merged"]),
    *(["own", "run-own"], ["other", "z"], ["nope"], ["group", "nope"], ["run-own"], ["routes"]),
    *(["routes", "--sort", "methods"], ["routes", "-s", "rule", "--all-methods"]),
    *(["routes", "--sort", "domain"], ["routes", "--sort", "match"], ["routes", "-s", "bogus"]),
    *(["-A"], ["--debug", "hello"], ["--app", "solo", "hello"], ["group", "run-named", "x"]),
]
OPTIONS = [
    *(["--cert", "not_there"], ["--cert", "flask"], ["--cert", __file__], ["--key", __file__]),
    *(["--cert", __file__, "--key", __file__], ["--cert", "adhoc"], ["--cert", "a_context"]),
    *(["--cert", "a_context", "--key", __file__], ["--cert", "adhoc", "--key", __file__]),
    *(["--exclude-patterns", __file__], ["--extra-files", os.pathsep.join("ab")], ["-p", "x"]),
    *(["--reload"], ["--no-reload", "--debugger"], ["--without-threads"], ["-h", "::", "-p", "1"]),
]


def invoked(command: Any, args: list[str]) -> Any:
    """Exit code and output; only the code of a failure, because error texts differ."""
    for name in ("FLASK_APP", "FLASK_DEBUG", "FLASK_RUN_FROM_CLI"):
        os.environ.pop(name, None)
    result = CliRunner().invoke(command, args)
    return [result.exit_code, result.output if result.exit_code == 0 else ""]


def commanding() -> None:
    app = application()
    group = cli.FlaskGroup(create_app=lambda: app)
    for args in COMMANDS:
        tell(f"group: {args}", lambda args=args: invoked(group, args))
    runner = app.test_cli_runner()
    tell("runner", lambda: runner.invoke(args=["hello"]).output)
    for args in (["-A", "broken"], ["-A", "nofile"], ["-A", "raises"], [], ["-A", "solo"]):
        tell(f"flask {args} routes", lambda args=args: invoked(cli.cli, [*args, "routes"]))
        tell(f"flask {args} nope", lambda args=args: invoked(cli.cli, [*args, "nope"]))
    import ssl

    sys.modules["a_context"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # type: ignore[assignment]
    for args in OPTIONS:
        tell(f"run {args}", lambda args=args: _parameters(args))


def _parameters(args: list[str]) -> Any:
    found = cli.run_command.make_context("run", list(args)).params
    return {
        name: type(v).__name__ if "context" in str(args) else v for name, v in sorted(found.items())
    }


finding()
locating()
commanding()
