"""Commands of an application: click groups that run in an application context."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from carboy.app.globals import current_app
from carboy.app.helpers import get_debug_flag

if TYPE_CHECKING:
    from carboy.app.app import Carboy

__all__ = ["AppGroup", "NoAppException", "ScriptInfo", "pass_script_info", "with_appcontext"]

F = TypeVar("F", bound=Callable[..., Any])


class NoAppException(click.UsageError):
    """No application was given, or none was found where it was said to be."""


class ScriptInfo:
    """What a command line knows about the application, and how it is loaded.

    `create_app` makes it; without one `locate` finds it by `app_import_path`, which the
    command-line room sets to its search.
    """

    locate: Callable[[ScriptInfo], Carboy | None] | None = None

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[..., Carboy] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.app_import_path = app_import_path
        self.create_app = create_app
        self.data: dict[Any, Any] = {}
        self.set_debug_flag = set_debug_flag
        self.load_dotenv_defaults = load_dotenv_defaults
        self._loaded_app: Carboy | None = None

    def load_app(self) -> Carboy:
        """The application, loaded at the first call. Raises NoAppException if there is none."""
        if self._loaded_app is not None:
            return self._loaded_app
        app: Carboy | None = None
        if self.create_app is not None:
            app = self.create_app()
        elif type(self).locate is not None:
            app = cast(Any, type(self).locate)(self)
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


pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


def with_appcontext(f: F) -> F:
    """Run a command's function in the context of the command line's application.

    Not needed for commands of `app.cli` and of blueprints, which have it already.
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
        """`click.Group.command`; with_appcontext=False leaves the context out."""
        wrap = kwargs.pop("with_appcontext", True)
        make = super().command

        def decorator(f: Callable[..., Any]) -> click.Command:
            function = with_appcontext(f) if wrap else f
            return cast(click.Command, make(*args, **kwargs)(function))

        return decorator

    def group(self, *args: Any, **kwargs: Any) -> Any:
        """`click.Group.group`, of this class."""
        kwargs.setdefault("cls", AppGroup)
        return super().group(*args, **kwargs)


def show_server_banner(debug: bool, app_import_path: str | None) -> None:
    """What is served, unless a reloader says it again."""
    if os.environ.get("WERKZEUG_RUN_MAIN") == "true":
        return
    if app_import_path is not None:
        click.echo(f" * Serving Flask app '{app_import_path}'")
    if debug is not None:
        click.echo(f" * Debug mode: {'on' if debug else 'off'}")


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from files, never over those that are set.

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
