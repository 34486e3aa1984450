"""`carboy crashes`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from carboy.acme.settings import state_folder
from carboy.cli.admin.command import document
from carboy.cli.admin.tables import duration, number, size, table
from carboy.cli.options import state_folder_option
from carboy.server.crashes.folder import FOLDER, Report, UnreadableReport, paths, read
from carboy.server.setting import OTHER

# A report has text of the application and of clients, so control characters are not shown.
KEPT = "\n\t"


def crashes(report: str | None, state: str | None, as_json: bool) -> None:
    """Show the reports of workers that have crashed, or one report.

    A worker that ends without being asked, or is ended because it is stuck, leaves a report: how it
    ended, its requests in flight, its last stacks and its memory. REPORT is the number of a report
    in the list, in which 1 is the newest, or its id. The server does not have to run.
    """
    folder = (Path(state).absolute() if state else state_folder()) / FOLDER
    try:
        found = paths(folder)
    except OSError as problem:
        raise click.ClickException(
            f"{folder} cannot be read: {problem.strerror or problem}. Run the command as the user"
            " of the server, or use --state with the folder that the server has."
        ) from None
    click.echo(_listed(found, folder, as_json) if report is None else _one(found, report, as_json))


def _listed(found: list[Path], folder: Path, as_json: bool) -> str:
    """All reports, newest first. A file that is damaged is named."""
    reports: list[Report] = []
    rows = []
    for place, path in enumerate(found, 1):
        try:
            report = read(path)
            rows.append(_row(place, report))
        except UnreadableReport as problem:
            click.echo(str(problem), err=True)
            continue
        except (KeyError, TypeError, ValueError):
            click.echo(f"{path} is not a crash report. Remove it.", err=True)
            continue
        reports.append(report)
    if as_json:
        return document(reports)
    if not rows:
        return f"There are no crash reports in {folder}. --state DIR names another folder."
    titles = ("N", "TIME", "WORKER", "LIVED", "APPLICATION", "END", "REQUESTS")
    return "\n".join(_plain(line) for line in table(titles, rows, "> >>"))


def _row(place: int, report: Report) -> tuple[str, ...]:
    return (
        str(place),
        _time(report["time"]),
        str(report["worker"]),
        duration(report["lived"]),
        report["application"],
        _end(report),
        ", ".join(each["request"] for each in report["requests"]) or report["last_read"],
    )


def _end(report: Report) -> str:
    """The end of a worker in few words."""
    if report["reason"] in ("stuck", "start_timeout"):
        return str(report["reason"]).replace("_", " ")
    return str(report["signal"] or f"exit code {report['exit_code']}")


def _one(found: list[Path], wanted: str, as_json: bool) -> str:
    """One report, by its number or its id."""
    path = next((each for each in found if each.stem == wanted), None)
    if path is None and wanted.isdecimal() and 1 <= int(wanted) <= len(found):
        path = found[int(wanted) - 1]
    if path is None:
        raise click.ClickException(
            f"There is no crash report {wanted}; there {_are(len(found))}. `carboy crashes` lists"
            " them."
        )
    try:
        report = read(path)
        return document(report) if as_json else _plain("\n".join(_lines(report)))
    except UnreadableReport as problem:
        raise click.ClickException(str(problem)) from None
    except (KeyError, TypeError, ValueError):
        raise click.ClickException(f"{path} is not a crash report. Remove it.") from None


def _are(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {number(count, 'report')}"


def _lines(report: Report) -> list[str]:
    """A report for people."""
    memory = size(report["memory"]) if report["memory"] else "not known"
    lines = [
        f"Worker {report['worker']} of {report['application'] or 'an application'} {report['how']}",
        f"{_time(report['time'])}, after {duration(report['lived'])}, in {report['folder']}",
        f"Last known memory: {memory}",
        f"Id of the report: {report['id']}",
        "",
    ]
    lines += _requests(report)
    lines += ["", report["stacks"] or "Its stacks are not known."]
    if report["hints"]:
        lines += ["", *report["hints"]]
    return lines


def _requests(report: Report) -> list[str]:
    rows: list[Any] = [
        f"  {each['request']} (for {duration(each['seconds'])})" for each in report["requests"]
    ]
    last = report["last_read"]
    if last and all(each["request"] != last for each in report["requests"]):
        rows.append(f"  {last} (the last one that was read)")
    return ["Requests in flight:", *rows] if rows else ["No request was in flight."]


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() or each in KEPT else "?" for each in text)


command = click.Command(
    "crashes",
    callback=crashes,
    params=[
        click.Argument(["report"], required=False),
        state_folder_option(OTHER),
        click.Option(["--json", "as_json"], is_flag=True, help="Machine-readable output."),
    ],
    help=crashes.__doc__,
    short_help="Show the reports of workers that have crashed.",
)
