"""The option --mount of the commands: an application under a prefix of the path.

--mount /api=api:app    --mount /admin=wsgi+project.wsgi:application
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carboy.cli import locate
from carboy.cli.completion import applications
from carboy.cli.options import option
from carboy.gateway.mounts import Mounts, mount, not_found, read_prefix
from carboy.server.setting import APPLICATION

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:  # generic since click 8.4
    ParamType = click.ParamType

KIND = re.compile(r"(wsgi|asgi)\+")


class MountType(ParamType):
    """PREFIX=APP, in which APP may have the kind of the application before it."""

    name = "mount"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str, str]:
        """The prefix, the name of the application, and its kind."""
        if isinstance(value, tuple):
            return value
        prefix, equals, app = str(value).partition("=")
        kind = KIND.match(app)
        name = app[kind.end() :] if kind else app
        if not equals or not name:
            self.fail(f"{value!r} is not PREFIX=APP. Write it like /api=api:app.", param, ctx)
        try:
            read_prefix(prefix)
        except ValueError as problem:
            self.fail(str(problem), param, ctx)
        return prefix, name, kind[1] if kind else "auto"


def mounting() -> click.Option:
    """The option --mount."""
    return option(
        "--mount", section=APPLICATION, multiple=True, type=MountType(), metavar="PREFIX=APP",
        shell_complete=_complete,
        help="Another application, for paths with this prefix. PREFIX=wsgi+APP or PREFIX=asgi+APP"
        " chooses its interface. May be given more than once.",
    )  # fmt: skip


def _complete(ctx: Any, param: Any, incomplete: str) -> list[str]:
    prefix, equals, name = incomplete.partition("=")
    if not equals:
        return []
    return [f"{prefix}={each}" for each in applications(Path.cwd()) if each.startswith(name)]


Mounted = Sequence[tuple[str, str, str]]


def load(name: str, interface: str, wanted: Mounted) -> Any:
    """The application `name`, "" for none, with those that the option mounts.

    Raises NoApplication or BrokenApplication for one that cannot be loaded.
    """
    root = locate.load(name, interface=interface) if name else None
    if not wanted:
        return not_found if root is None else root
    apps: dict[str, Any] = {}
    for prefix, other, kind in wanted:
        if prefix in apps:
            raise _refused(f"Two applications are mounted at {prefix}. Choose another prefix.")
        apps[prefix] = _load(prefix, other, kind)
    try:
        found = mount(root, apps, interfaces={prefix: kind for prefix, _, kind in wanted})
    except (ValueError, TypeError) as problem:
        raise _refused(str(problem)) from None
    return _with_names(found, {"": name} | {read_prefix(at): other for at, other, _ in wanted})


def _with_names(mounts: Mounts, names: dict[str, str]) -> Mounts:
    """The same mounts, which show the names that the user has given."""
    root, *others = (replace(each, name=names.get(each.prefix, each.name)) for each in mounts.all())
    return Mounts(root, others)


def _load(prefix: str, name: str, kind: str) -> Any:
    try:
        return locate.load(name, interface=kind)
    except locate.NoApplication as problem:
        text = f"{problem} It is named in --mount {prefix}={name}."
        raise locate.NoApplication(problem.reason, text) from None


def _refused(text: str) -> locate.NoApplication:
    return locate.NoApplication(locate.Reason.VALUE, text)


def written(mounted: tuple[str, str, str]) -> str:
    """The value of the option that means this mount."""
    prefix, name, kind = mounted
    return f"{prefix}={name if kind == 'auto' else f'{kind}+{name}'}"


def shown(name: str, wanted: Mounted) -> str:
    """The applications for the banner."""
    parts = [f"{other} at {prefix}" for prefix, other, _ in wanted]
    if name:
        parts.insert(0, name)
    return ", ".join(parts)
