"""`carboy profile`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from carboy.cli.admin.client import AdminError, Client
from carboy.cli.admin.command import admin_command
from carboy.cli.admin.command import document as as_document
from carboy.cli.admin.duration import Duration
from carboy.cli.admin.profiles import page, speedscope, text
from carboy.cli.admin.profiles.profile import Format, Profile, read
from carboy.cli.option_types import ParamType

FORMATS: dict[str, Format] = {
    ".html": page.document,
    ".htm": page.document,
    ".json": speedscope.document,
    ".txt": text.collapsed,
    ".folded": text.collapsed,
}
PATIENCE = 15.0  # seconds that the server may need beyond the duration and --timeout


class Output(ParamType):
    """A file that can be written, whose name says the format."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Its folder is checked now, not when the samples have been taken."""
        path = Path(value)
        if path.suffix.lower() not in FORMATS:
            self.fail(
                f"The format of {value!r} is not known. Use a name that ends with .html (page),"
                " .txt (collapsed stacks) or .json (speedscope).",
                param,
                ctx,
            )
        if not path.parent.is_dir():
            self.fail(f"There is no folder {str(path.parent)!r}.", param, ctx)
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            self.fail(f"{value!r} cannot be written.", param, ctx)
        return path


def profile(
    client: Client, seconds: float, output: Path | None, worker: int | None, rate: float,
    route: str | None, all_threads: bool, timeout: float, as_json: bool,
) -> str:  # fmt: skip
    """Sample what a running server does, and show where requests spend their time.

    DURATION is a time such as 10s or 2m. Many times a second, each worker looks at the threads that
    run requests, and at what each of them does. The time that a request waits for a database or for
    another service counts as well. The server goes on serving meanwhile.
    """
    found = client.get(
        "/profile", seconds + timeout + PATIENCE, seconds=seconds, rate=rate, pid=worker,
        timeout=timeout, threads="all" if all_threads else None,
    )  # fmt: skip
    failed = [each for each in found["workers"] if each["failure"]]
    sampled = [each for each in found["workers"] if not each["failure"]]
    if not sampled:
        raise AdminError("\n".join(_failures(failed)) or "No worker runs.")
    for line in _failures(failed):
        click.echo(line, err=True)
    result = read(sampled)
    if route is not None:
        _keep(result, route)
    for each in sampled:
        if each["ended"]:
            took = f"{each['seconds']:.1f} s"
            click.echo(f"Worker {each['pid']} sampled for {took} only: {each['ended']}", err=True)
    if output is not None:
        _write(output, FORMATS[output.suffix.lower()](result))
    if as_json:
        return as_document(found)
    if output is not None:
        return f"{text.facts(result)}\nThe profile is in {output}."
    return text.shown(result)


def _keep(result: Profile, route: str) -> None:
    try:
        result.only(route)
    except StopIteration:
        known = ", ".join(text.clean(each.function.name) for each in result.routes())
        raise AdminError(
            f"No request of the route {route!r} ran meanwhile. Those that ran are of"
            f" {known or 'no route at all'}."
        ) from None


def _failures(workers: list[dict[str, Any]]) -> list[str]:
    """Lines about workers that have not sampled, with the stacks they have written."""
    lines = []
    for each in workers:
        lines.append(f"Worker {each['pid']} has not been sampled: {each['failure']}")
        if each["text"]:
            lines += ["Its interpreter lock is held. Its stacks are:", "", each["text"]]
    return lines


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, "utf-8", "replace")
    except OSError as problem:
        raise AdminError(f"{path} cannot be written: {problem.strerror}.") from None


command = admin_command(
    "profile",
    profile,
    [
        click.Argument(["seconds"], type=Duration(), default=10.0, metavar="[DURATION]"),
        click.Option(
            ["-o", "--output"], type=Output(), metavar="FILE",
            help="File for the profile: .html (flame chart), .txt (collapsed stacks) or"
            " .json (speedscope).  [default: tables in the terminal]",
        ),
        click.Option(["--worker"], type=int, metavar="PID", help="Worker that is sampled."
                     "  [default: all]"),
        click.Option(
            ["--rate"], type=click.FloatRange(1.0, 1000.0), default=100.0, show_default=True,
            metavar="HZ", help="Samples in a second.",
        ),
        click.Option(["--route"], metavar="RULE", help="Route whose requests are shown."
                     "  [default: all]"),
        click.Option(["--all-threads"], is_flag=True,
                     help="Sample threads without a request as well."),
        click.Option(
            ["--timeout"], type=click.FloatRange(0.0, 60.0), default=5.0, show_default=True,
            metavar="SECONDS", help="Time in which workers have to answer after the profile.",
        ),
    ],
    short_help="Show where the requests of a running server spend their time.",
)  # fmt: skip
