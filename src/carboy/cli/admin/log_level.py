"""`carboy log-level`."""

from __future__ import annotations

from typing import Any

import click

from carboy.cli.admin.client import AdminError, Client
from carboy.cli.admin.command import admin_command, document


def log_level(client: Client, logger: str, level: str | None, as_json: bool) -> str:
    """Show or change the level of a logger in all workers of a running server.

    LOGGER is the name of a logger of the module logging, such as sqlalchemy.engine; root is the
    root logger. LEVEL is DEBUG, INFO, WARNING, ERROR, CRITICAL, a number, or default for the level
    before the first change. Workers that start later have it as well. It is forgotten when the
    server ends.
    """
    found = client.post("/log-level", {"logger": logger, "level": level})
    if as_json:
        return document(found)
    lines = [f"Worker {pid}: {_line(each)}" for pid, each in found["workers"].items()]
    answered = [each for each in found["workers"].values() if "failure" not in each]
    if not answered:
        raise AdminError("\n".join(lines) or "No worker runs.")
    return "\n".join([*lines, *_hints(logger, answered[0])])


def _line(found: dict[str, Any]) -> str:
    if "failure" in found:
        return str(found["failure"])
    text = f"{found['before']} → {found['level']}"
    if found["before"] == found["level"]:
        text = str(found["level"])
    return text if found["level"] == found["effective"] else f"{text} ({found['effective']})"


def _hints(logger: str, found: dict[str, Any]) -> list[str]:
    """Reasons why the lines may not be seen."""
    hints = []
    if not found["known"]:
        near = f" Similar ones: {', '.join(found['near'])}." if found["near"] else ""
        hints.append(f"The application has not used a logger named {logger} yet.{near}")
    if found["written_from"] and found["written_from"] != "NOTSET":
        hints.append(f"The handlers of this logger write records from {found['written_from']} on.")
    return hints


command = admin_command(
    "log-level",
    log_level,
    [click.Argument(["logger"]), click.Argument(["level"], required=False)],
    short_help="Show or change the level of a logger in a running server.",
)
