"""`carboy routes`: what an application answers to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

AUTOMATIC = {"HEAD", "OPTIONS"}

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
    """The lines of the table; one that says so if there are no routes."""
    hidden = set() if all_methods else AUTOMATIC
    rows = [(rule, sorted((rule.methods or set()) - hidden)) for rule in app.url_map.iter_rules()]
    if not rows:
        return ["No routes were registered."]
    if sort in KEYS:
        rows.sort(key=KEYS[sort])
    headers = ["Endpoint", "Methods", "Rule"]
    cells = [[rule.endpoint, ", ".join(methods), rule.rule] for rule, methods in rows]
    hosts = getattr(app.url_map, "host_matching", False)
    domains = [str((rule.host if hosts else rule.subdomain) or "") for rule, _ in rows]
    if any(domains):
        headers.insert(2, "Host" if hosts else "Subdomain")
        for row, domain in zip(cells, domains, strict=True):
            row.insert(2, domain)
    return table(headers, cells)


def make_command(load: Callable[[click.Context, str | None], Any]) -> click.Command:
    """The command; `load` gives the application that a context and an argument name."""

    @click.command("routes", short_help="Show what an application answers to.")
    @click.argument("app", required=False)
    @click.option(
        "--sort", "-s", type=click.Choice(SORTS), default="endpoint", show_default=True,
        help="match: in the order in which the application tries them.",
    )  # fmt: skip
    @click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS too.")
    @click.pass_context
    def command(ctx: click.Context, app: str | None, sort: str, all_methods: bool) -> None:
        """Show the rules of APP with their endpoints and methods."""
        application = load(ctx, app)
        if not hasattr(application, "url_map"):
            raise click.UsageError(f"{application!r} has no url_map to show.", ctx)
        click.echo("\n".join(routes(application, sort, all_methods)))

    return command
