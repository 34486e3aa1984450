"""Commands of an application, which run in an application context, and `app.run()`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from carboy.app.globals import current_app
from carboy.app.helpers import get_debug_flag, get_load_dotenv

if TYPE_CHECKING:
    from carboy.app.interface import Application

__all__ = ["AppGroup", "NoAppException", "ScriptInfo", "pass_script_info", "with_appcontext"]

F = TypeVar("F", bound=Callable[..., Any])


RUN_IGNORED = (
    " * Ignoring a call to 'app.run()': the command line serves the application already."
    " Put the call under \"if __name__ == '__main__':\"."
)


class NoAppException(click.UsageError):
    """No application was given, or the given name does not lead to one."""


class ScriptInfo:
    """The application of a command line, and how it is loaded.

    `create_app` makes the application. Without it, `locate` finds the application, by
    `app_import_path` or in the current folder. A command line may set its own `locate`.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[..., Application] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.app_import_path = app_import_path
        self.create_app = create_app
        self.data: dict[Any, Any] = {}
        self.set_debug_flag = set_debug_flag
        self.load_dotenv_defaults = load_dotenv_defaults
        self.locate: Callable[[ScriptInfo], Application | None] = _locate_like_flask
        self._loaded_app: Application | None = None

    def load_app(self) -> Application:
        """The application, loaded by the first call. Raises NoAppException if there is none."""
        if self._loaded_app is not None:
            return self._loaded_app
        app = self.locate(self) if self.create_app is None else self.create_app()
        if app is None:
            raise NoAppException(
                "Could not locate a Flask application. Use the 'flask --app' option"
                " (module:name or a file), the environment variable FLASK_APP or CARBOY_APP, or"
                " a file wsgi.py or app.py."
            )
        if self.set_debug_flag:
            app.debug = get_debug_flag()
        self._loaded_app = app
        return app


def _locate_like_flask(info: ScriptInfo) -> Application | None:
    from carboy.cli.flask import load_like_flask

    found: Application | None = load_like_flask(info)
    return found


pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


def with_appcontext(f: F) -> F:
    """Run a command's function in the context of the command line's application.

    Commands of `app.cli` and of blueprints do not need it: they have the context already.
    """

    @click.pass_context
    def in_context(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        if not current_app:
            app = ctx.ensure_object(ScriptInfo).load_app()
            ctx.with_resource(app.app_context())
        return ctx.invoke(f, *args, **kwargs)

    return cast(F, update_wrapper(in_context, f))


class AppGroup(click.Group):
    """A click group whose commands run in an application context."""

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """`click.Group.command`; with_appcontext=False runs the command without a context."""
        wrap = kwargs.pop("with_appcontext", True)
        make = super().command

        def decorator(f: Callable[..., Any]) -> click.Command:
            function = with_appcontext(f) if wrap else f
            return cast(click.Command, make(*args, **kwargs)(function))

        return decorator

    def group(self, *args: Any, **kwargs: Any) -> Any:
        """`click.Group.group`; the group is of this class."""
        kwargs.setdefault("cls", AppGroup)
        return super().group(*args, **kwargs)


def show_server_banner(debug: bool, app_import_path: str | None) -> None:
    """Show what is served, but only once: not again in a process that a reloader started."""
    if os.environ.get("WERKZEUG_RUN_MAIN") == "true":
        return
    if app_import_path is not None:
        click.echo(f" * Serving Flask app '{app_import_path}'")
    if debug is not None:
        click.echo(f" * Debug mode: {'on' if debug else 'off'}")


def run(
    app: Any,
    host: str | None,
    port: int | None,
    debug: bool | None,
    dotenv: bool,
    options: dict[str, Any],
) -> None:
    """`app.run`."""
    from carboy.serving.development import is_running_from_reloader, run_simple

    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        if not is_running_from_reloader():
            print(RUN_IGNORED, file=sys.stderr)
        return
    if get_load_dotenv(dotenv):
        load_dotenv()
        if "CARBOY_DEBUG" in os.environ or "FLASK_DEBUG" in os.environ:
            app.debug = get_debug_flag()
    if debug is not None:
        app.debug = bool(debug)
    show_server_banner(app.debug, app.name)
    name, number = _address(app.config["SERVER_NAME"])
    options.setdefault("use_reloader", app.debug)
    options.setdefault("use_debugger", app.debug)
    options.setdefault("threaded", True)
    try:
        run_simple(host or name, number if port is None else int(port), app, **options)
    finally:
        # In an interactive session the application may be set up further afterwards.
        app._got_first_request = False


def _address(server_name: str | None) -> tuple[str, int]:
    """Host and port of SERVER_NAME, with Flask's defaults for what is missing."""
    host, _, port = (server_name or "").partition(":")
    return host or "127.0.0.1", int(port or 5000)


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from files; variables that are set stay unchanged.

    `path` if given; with `load_defaults` also `.flaskenv` and `.env`, searched upwards from
    the working directory. Needs python-dotenv. True if a file was read.
    """
    try:
        import dotenv
    except ImportError:
        return _without_dotenv(path)
    values: dict[str, str | None] = {}
    found = False
    names: list[str | os.PathLike[str]] = []
    if load_defaults:
        names = [place for name in (".flaskenv", ".env") if (place := _find(dotenv, name))]
    if path is not None:
        names.append(path)
    for name in names:
        if os.path.isfile(name):  # noqa: PTH113
            values.update(dotenv.dotenv_values(name, encoding="utf-8"))
            found = True
    for key, value in values.items():
        if value is not None and key not in os.environ:
            os.environ[key] = value
    return found


def _find(dotenv: Any, name: str) -> str:
    return cast(str, dotenv.find_dotenv(name, usecwd=True))


def _without_dotenv(path: Any) -> bool:
    there = [name for name in (".env", ".flaskenv") if os.path.isfile(name)]  # noqa: PTH113
    if path or there:
        click.secho(
            " * Tip: There are .env files present. Install python-dotenv to read"
            f" {path or ' and '.join(there)}.",
            fg="yellow",
            err=True,
        )
    return False
