"""`carboy routes`: the routes of an application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import click

from carboy.cli import locate, matched, mounts
from carboy.cli.application import (
    chosen_app,
    load_for_command,
    load_or_explain,
    script_info,
)  # fmt: skip
from carboy.cli.completion import complete
from carboy.cli.foreign_routes import BrokenRoutes, ForeignRoute, routes_of
from carboy.dev.routes.matching import WEBSOCKET
from carboy.gateway.mounts import Mounts, not_found
from carboy.server.processes.worker import LoadError

AUTOMATIC = {"HEAD", "OPTIONS"}
ANY = "any"  # in the place of methods: the application of the route decides
NOT_KNOWN = (
    "The routes of this application are not known. `carboy routes` knows those of Carboy, Flask,"
    " Quart, Django, Channels, Starlette, FastAPI, Litestar and BlackSheep."
)

KEYS: dict[str, Callable[[tuple[Any, list[str]]], Any]] = {
    "endpoint": lambda row: row[0].endpoint,
    "methods": lambda row: row[1],
    "domain": lambda row: row[0].host or row[0].subdomain or "",
    "rule": lambda row: row[0].rule,
}
SORTS = ("endpoint", "methods", "domain", "rule", "match")


def table(headers: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Left-aligned columns under underlined headers."""
    cells = [headers, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]


def routes(app: Any, sort: str = "endpoint", all_methods: bool = False) -> list[str]:
    """The lines of the table, or one line if there are no routes."""
    hidden = set() if all_methods else AUTOMATIC
    rows = [(rule, _methods(rule, hidden)) for rule in routes_of(app) or ()]
    if not rows:
        return ["No routes were registered."]
    if sort in KEYS:
        rows.sort(key=KEYS[sort])
    headers = ["Endpoint", "Methods", "Rule"]
    cells = [[rule.endpoint, ", ".join(methods), rule.rule] for rule, methods in rows]
    hosts = not hasattr(app, "url_map") or getattr(app.url_map, "host_matching", False)
    domains = [str((rule.host if hosts else rule.subdomain) or "") for rule, _ in rows]
    if any(domains):
        headers.insert(2, "Host" if hosts else "Subdomain")
        for row, domain in zip(cells, domains, strict=True):
            row.insert(2, domain)
    return table(headers, cells)


def _methods(rule: Any, hidden: set[str]) -> list[str]:
    if getattr(rule, "websocket", False):
        return [WEBSOCKET]
    if rule.methods is None and isinstance(rule, ForeignRoute):
        return [ANY]
    return sorted((rule.methods or set()) - hidden)


@click.command("routes", short_help="Show the routes of an application.")
@click.argument("app", required=False, shell_complete=complete)
@click.option(
    "--sort", "-s", type=click.Choice(SORTS), default="endpoint", show_default=True,
    help="Order of the routes; match: the order in which the application tries them.",
)  # fmt: skip
@click.option("--all-methods", is_flag=True, help="HEAD and OPTIONS among the methods.")
@click.option(
    "--filter", "-f", "part", default="", help="Text that every route shown has to contain."
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Output as JSON, for other programs.")
@click.option(
    "--match", "-m", metavar="[METHOD] URL",
    help="Request whose route is shown, with the reason, such as 'POST /notes' or"
    " 'WEBSOCKET /chat'.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context, app: str | None, sort: str, all_methods: bool, part: str,
    as_json: bool, match: str | None, mount: mounts.Mounted,
) -> None:  # fmt: skip
    """Show the routes of APP with their endpoints and methods."""
    application = _load(ctx, app, mount)
    try:
        _show(ctx, application, sort, all_methods, part, as_json, match)
    except BrokenRoutes as problem:
        raise click.ClickException(str(problem)) from None


def _show(
    ctx: click.Context, application: Any, sort: str, all_methods: bool, part: str,
    as_json: bool, match: str | None,
) -> None:  # fmt: skip
    if not isinstance(application, Mounts) and routes_of(application) is None:
        raise click.UsageError(NOT_KNOWN, ctx)
    if match is not None:
        if not (isinstance(application, Mounts) or locate.is_flask_like(application)):
            raise click.UsageError(
                "--match is for Carboy and Flask: other frameworks match with code of their own."
                " Leave it out to see the routes.",
                ctx,
            )
        click.echo("\n".join(_matched(application, match)))
    elif as_json:
        click.echo(json.dumps(as_objects(application, part), indent=2))
    else:
        click.echo("\n".join(_shown(application, sort, all_methods, part)))


command.params.append(mounts.mounting())


def _load(ctx: click.Context, app: str | None, mounted: mounts.Mounted) -> Any:
    if not mounted and script_info(ctx).create_app is not None:
        return load_for_command(ctx, app)
    try:
        return load_or_explain(chosen_app(ctx, app, bool(mounted)), "auto", mounted)
    except LoadError as problem:
        raise click.ClickException(str(problem)) from None


def _shown(app: Any, sort: str, all_methods: bool, part: str) -> list[str]:
    """The table, or a table for each of several applications, below its prefix."""
    if isinstance(app, Mounts):
        found: list[str] = []
        for each in app.all():
            if each.app is not not_found:
                found += ["", f"{each.shown()}  {each.named()}"]
                found += _shown(each.app, sort, all_methods, part)
        return found[1:]
    if routes_of(app) is None:
        return [NOT_KNOWN]
    lines = [line.rstrip() for line in routes(app, sort, all_methods)]
    head, rows = lines[:2], [x for x in lines[2:] if part.lower() in x.lower()]
    return [*head, *rows] if rows or not part else [_none(part)]


def _none(part: str) -> str:
    return f"No route contains {part!r}."


def as_objects(app: Any, part: str = "") -> list[dict[str, Any]]:
    """The rules as JSON objects; only those with `part` in their rule or endpoint.

    Of mounted applications, each has the prefix as well.
    """
    if isinstance(app, Mounts):
        return [
            {"mount": each.shown(), **rule}
            for each in app.all()
            for rule in as_objects(each.app, part)
        ]
    return [
        {
            "rule": rule.rule,
            "endpoint": rule.endpoint,
            "methods": sorted(rule.methods or ()),
            "websocket": bool(getattr(rule, "websocket", False)),
            "subdomain": rule.subdomain,
            "host": rule.host,
            "arguments": sorted(rule.arguments),
        }
        for rule in routes_of(app) or ()
        if part.lower() in f"{rule.rule} {rule.endpoint}".lower()
    ]


def _matched(app: Any, text: str) -> list[str]:
    method, _, address = text.strip().rpartition(" ")
    method = method.strip().upper() or "GET"
    url = urlsplit(address)
    if not url.path.startswith("/"):
        raise click.BadParameter(
            f"{text!r} has no path that starts with a slash. Write it like 'POST /notes'.",
            param_hint="--match",
        )
    path = url._replace(query="", fragment="").geturl()
    return matched.lines(app, method, url.path if isinstance(app, Mounts) else path)
