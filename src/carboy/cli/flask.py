"""`flask.cli`: the `flask` command and the classes that extensions build their commands on."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import os
import platform
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from carboy import __version__
from carboy.app.commands import (
    AppGroup,
    NoAppException,
    ScriptInfo,
    load_dotenv,
    pass_script_info,
    show_server_banner,
    with_appcontext,
)
from carboy.app.globals import current_app
from carboy.app.helpers import get_debug_flag, get_load_dotenv
from carboy.cli import locate, routes, shell
from carboy.cli.dev.tools import loaded_or_failing
from carboy.cli.development_options import (
    CertParamType,
    SeparatedPathType,
    with_certificate,
    with_watched_files,
)
from carboy.cli.locate import BrokenApplication, NoApplication, Reason
from carboy.cli.option_types import PORT, Host
from carboy.cli.run import FROM_CLI
from carboy.serving import development

__all__ = [
    "AppGroup",
    "CertParamType",
    "FlaskGroup",
    "NoAppException",
    "ScriptInfo",
    "SeparatedPathType",
    "cli",
    "current_app",
    "find_app_by_string",
    "find_best_app",
    "get_debug_flag",
    "load_dotenv",
    "locate_app",
    "main",
    "pass_script_info",
    "prepare_import",
    "routes_command",
    "run_command",
    "shell_command",
    "show_server_banner",
    "version_option",
    "with_appcontext",
]


def find_best_app(module: ModuleType) -> Any:
    """The application of a module: `app`, `application`, the only one, or what a factory makes."""
    name = module.__name__
    try:
        return _own_errors(locate.find, module, locate.is_flask_like)
    except NoApplication as problem:
        if problem.reason is Reason.SEVERAL:
            text = (
                f"Detected multiple Flask applications in module {name!r}. Use '{name}:name' to"
                " specify which one."
            )
        elif problem.reason is Reason.ARGUMENTS:
            factory = next(each for each in locate.FACTORIES if hasattr(module, each))
            text = (
                f"Detected factory {factory!r} in module {name!r}, but could not call it without"
                f" arguments ({problem.__cause__}). Use '{name}:{factory}(argument)' to pass them."
            )
        else:
            text = (
                f"Failed to find Flask application or factory in module {name!r}. Use"
                f" '{name}:name' to specify it."
            )
        raise NoAppException(text) from None


def find_app_by_string(module: ModuleType, app_name: str) -> Any:
    """The application that a name, or a call with literal arguments, gives."""
    name = module.__name__
    found: Any = None
    try:
        expression = locate.parse_expression(app_name)
        if not isinstance(expression.target, ast.Name):
            raise _wrong_form(expression)
        found = locate.attribute(module, expression.target, app_name)
        if inspect.isfunction(found) or isinstance(found, functools.partial):
            found = _own_errors(locate.call, module, expression, found, lambda made: True)
        if locate.is_flask_like(found):
            return found
        text = (
            f"A valid Flask application was not obtained from '{name}:{app_name}': it is"
            f" {found!r:.100}. Name an application or a factory that returns one."
        )
    except NoApplication as problem:
        text = {
            Reason.FORM: f"Failed to parse {app_name!r} as an attribute name or function call."
            " Write NAME or FACTORY('argument').",
            Reason.LITERALS: f"Failed to parse arguments as literal values: {app_name!r}. Write"
            " text in quotes, numbers, lists or dicts.",
            Reason.NO_ATTRIBUTE: f"Failed to find attribute {app_name.partition('(')[0]!r} in"
            f" {name!r}. Check the spelling.",
            Reason.ARGUMENTS: f"The factory {app_name!r} in module {name!r} could not be called"
            f" with the specified arguments ({problem.__cause__}). Write them after the name, as"
            f" in '{name}:NAME(1)'.",
        }.get(problem.reason, str(problem))
    raise NoAppException(text)


def _wrong_form(expression: locate.Expression) -> Exception:
    if expression.called:
        text = f"Function reference must be a simple name: {expression.text!r}."
        return NoAppException(text)
    return NoApplication(Reason.FORM, "")


def _own_errors(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; errors of the application's own code are raised unchanged."""
    try:
        return function(*arguments)
    except BrokenApplication as problem:
        error = problem.__cause__
    assert error is not None
    raise error


def prepare_import(path: str) -> str:
    """The dotted name of a module's file; the folder of its package goes on sys.path."""
    folder, name = locate.module_of_file(Path(path))
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
    return name


def locate_app(module_name: str, app_name: str | None, raise_if_not_found: bool = True) -> Any:
    """Import a module and find the application in it; None for no module, if that is allowed."""
    try:
        module = _own_errors(locate.import_by_name, module_name, Path.cwd())
    except NoApplication:
        if raise_if_not_found:
            raise NoAppException(f"Could not import {module_name!r}.") from None
        return None
    except ImportError:
        raise NoAppException(
            f"While importing {module_name!r}, an ImportError was raised:\n\n"
            f"{traceback.format_exc()}"
        ) from None
    return find_best_app(module) if app_name is None else find_app_by_string(module, app_name)


def load_like_flask(info: ScriptInfo) -> Any:
    """The application that a ScriptInfo names, or that of wsgi.py or app.py."""
    if info.app_import_path:
        spec = locate.parse(info.app_import_path.removesuffix(":"))
        return locate_app(prepare_import(spec.module), spec.expression or None)
    for name in locate.FILES:
        found = locate_app(prepare_import(name), None, raise_if_not_found=False)
        if found is not None:
            return found
    return None


def get_version(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Print the versions and exit: the same lines as Flask, if its name is in use."""
    if value and not ctx.resilient_parsing:
        lines = [f"Python {platform.python_version()}"]
        for name in ("Flask", "Werkzeug"):
            with contextlib.suppress(PackageNotFoundError):
                lines.append(f"{name} {version(name)}")
        if len(lines) == 1:
            lines.append(f"Carboy {__version__}")
        click.echo("\n".join(lines), color=ctx.color)
        ctx.exit()


def _set_app(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).app_import_path = value
    return value


def _set_debug(ctx: click.Context, param: click.Option, value: bool) -> bool | None:
    source = ctx.get_parameter_source(param.name or "")
    if source in (click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP):
        return None
    # In the environment, so that an application and a reloader's child see it too.
    os.environ["FLASK_DEBUG"] = "1" if value else "0"
    return value


def _env_file(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None and find_spec("dotenv") is None:
        raise click.BadParameter(
            "python-dotenv must be installed to load an env file. Run pip install python-dotenv.",
            ctx,
            param,
        )
    if value is not None or ctx.obj is None or ctx.obj.load_dotenv_defaults:
        load_dotenv(value, load_defaults=ctx.obj is None or ctx.obj.load_dotenv_defaults)
    return value


def _options() -> list[click.Option]:
    return [
        click.Option(
            ["-e", "--env-file"], type=click.Path(exists=True, dir_okay=False), is_eager=True,
            expose_value=False, callback=_env_file,
            help="File of environment variables to set; has precedence over .env and .flaskenv."
            " Requires python-dotenv.",
        ),
        click.Option(
            ["-A", "--app"], metavar="IMPORT", is_eager=True, expose_value=False,
            callback=_set_app,
            help="Application: MODULE:NAME, MODULE:FACTORY(…) or the path of a file.",
        ),
        click.Option(
            ["--debug/--no-debug"], expose_value=False, callback=_set_debug,
            help="Debug mode of the application.",
        ),
    ]  # fmt: skip


version_option = click.Option(
    ["--version"],
    help="Show the versions of Python and Carboy, and exit.",
    expose_value=False,
    callback=get_version,
    is_flag=True,
    is_eager=True,
)


class FlaskGroup(AppGroup):
    """A group of Flask's commands, those of plugins and those of the application.

    `create_app` makes the application; without it, the application is found as by `flask`. An
    error while it loads is shown, and the built-in commands still work.
    """

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: Any = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: Any,
    ) -> None:
        params = [*_options(), *(extra.pop("params", None) or ())]
        if add_version_option:
            params.append(version_option)
        extra.setdefault("context_settings", {}).setdefault("auto_envvar_prefix", "FLASK")
        super().__init__(params=params, **extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag
        self._loaded_plugin_commands = False
        if add_default_commands:
            for command in (run_command, shell_command, routes_command):
                self.add_command(command)

    def _load_plugin_commands(self) -> None:
        if not self._loaded_plugin_commands:
            for point in entry_points(group="flask.commands"):
                self.add_command(point.load(), point.name)
            self._loaded_plugin_commands = True

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Built-in and plugin commands first, then the application's."""
        self._load_plugin_commands()
        own = super().get_command(ctx, name)
        if own is not None:
            return own
        info = ctx.ensure_object(ScriptInfo)
        try:
            app = info.load_app()
        except NoAppException as problem:
            click.secho(f"Error: {problem.format_message()}\n", err=True, fg="red")
            return None
        if not current_app or current_app._get_current_object() is not app:  # type: ignore[attr-defined]
            ctx.with_resource(app.app_context())
        return app.cli.get_command(ctx, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all of them, sorted."""
        self._load_plugin_commands()
        names = set(super().list_commands(ctx))
        info = ctx.ensure_object(ScriptInfo)
        try:
            names.update(info.load_app().cli.list_commands(ctx))
        except NoAppException as problem:
            click.secho(f"Error: {problem.format_message()}\n", err=True, fg="red")
        except Exception:
            click.secho(f"{traceback.format_exc()}\n", err=True, fg="red")
        return sorted(names)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """A context whose object is the ScriptInfo of this command line."""
        os.environ[FROM_CLI] = "true"
        if "obj" not in extra and "obj" not in self.context_settings:
            extra["obj"] = ScriptInfo(
                create_app=self.create_app,
                set_debug_flag=self.set_debug_flag,
                load_dotenv_defaults=get_load_dotenv(self.load_dotenv),
            )
        return super().make_context(info_name, args, parent=parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read dotenv files before the help lists commands, if there are no arguments."""
        if (not args and self.no_args_is_help) or args == ["--help"]:
            _env_file(ctx, self.params[0], None)  # type: ignore[arg-type]
            path = os.environ.get("FLASK_APP")
            if path and isinstance(ctx.obj, ScriptInfo):
                ctx.obj.app_import_path = ctx.obj.app_import_path or path
        return super().parse_args(ctx, args)


@click.command("run", short_help="Run a development server.")
@click.option(
    "--debug/--no-debug", callback=_set_debug, expose_value=False,
    help="Debug mode of the application.",
)  # fmt: skip
@click.option(
    "--host", "-h", default="127.0.0.1", type=Host(), metavar="HOST", show_default=True,
    help="Address or host name to listen on.",
)  # fmt: skip
@click.option(
    "--port", "-p", default=5000, type=PORT, metavar="PORT", show_default=True,
    help="Port to listen on; 0 chooses a free port.",
)  # fmt: skip
@with_certificate
@click.option(
    "--reload/--no-reload", default=None,
    help="Restart when a file changes.  [default: as --debug]",
)  # fmt: skip
@click.option(
    "--debugger/--no-debugger", default=None,
    help="Interactive debugger on error pages.  [default: as --debug]",
)  # fmt: skip
@click.option(
    "--with-threads/--without-threads", default=True,
    help="Several requests at the same time.  [default: yes]",
)  # fmt: skip
@with_watched_files
@pass_script_info
def run_command(
    info: ScriptInfo,
    host: str,
    port: int,
    reload: bool | None,
    debugger: bool | None,
    with_threads: bool,
    cert: Any,
    extra_files: list[str] | None,
    exclude_patterns: list[str] | None,
) -> None:
    """Serve the application as `app.run()` does.

    With --debug, the server restarts when a file changes and error pages have a debugger.
    """
    app = loaded_or_failing(info.load_app)
    debug = get_debug_flag()
    show_server_banner(debug, info.app_import_path)
    development.run_simple(
        host,
        port,
        app,
        use_reloader=debug if reload is None else reload,
        use_debugger=debug if debugger is None else debugger,
        threaded=with_threads,
        ssl_context=cert,
        extra_files=extra_files,
        exclude_patterns=exclude_patterns,
    )


@click.command("shell", short_help="Run a shell in the app context.")
@with_appcontext
def shell_command() -> None:
    """Start Python in the application's context, with its shell context."""
    banner = (
        f"Python {sys.version} on {sys.platform}\n"
        f"App: {current_app.import_name}\nInstance: {current_app.instance_path}"
    )
    shell.interact(banner, current_app.make_shell_context())


@click.command("routes", short_help="Show the routes for the app.")
@click.option(
    "--sort", "-s", type=click.Choice(routes.SORTS), default="endpoint", show_default=True,
    help="Order of the routes; match: the order in which the application tries them.",
)  # fmt: skip
@click.option("--all-methods", is_flag=True, help="HEAD and OPTIONS among the methods.")
@with_appcontext
def routes_command(sort: str, all_methods: bool) -> None:
    """Show the routes of the application with their endpoints and methods."""
    click.echo("\n".join(routes.routes(current_app, sort, all_methods)))


cli = FlaskGroup(name="flask", help="Commands for a Flask application, on Carboy.")


def main() -> None:
    """The entry point of `python -m flask`."""
    cli.main(prog_name="flask")
