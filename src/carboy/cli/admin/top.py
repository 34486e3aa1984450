"""`carboy top`."""

from __future__ import annotations

import json
import sys
import time

import click

from carboy.cli.admin.client import AdminError, Client, NotRunning
from carboy.cli.admin.command import admin_command
from carboy.cli.admin.screen import GONE, RESIZED, Screen, is_terminal
from carboy.cli.admin.top_figures import ORDERS, Figures, Sample, figures
from carboy.cli.admin.top_lines import lines

KEYS = {"r": "rate", "l": "latency", "e": "errors"}
FLOOR = 0.1  # seconds of the shortest interval
NARROWEST = 80  # columns of a terminal, at least, for --once
WIDEST = 1000  # columns of lines for a file or another program


def top(client: Client, interval: float, once: bool, order: str, as_json: bool) -> None:
    """Show a running server live: workers, routes by rate, latency and errors, and requests.

    The rate, the percentiles of the duration and the errors (statuses from 500 on) of a route are
    those of the last interval. A request in flight is shown with its age and the line of the
    application that it is at. Press q or Ctrl+C to leave, and r, l or e to sort by rate, latency or
    errors. Without a terminal, one interval is shown, as with --once. With --json, each interval is
    one object on one line.
    """
    try:
        if as_json:
            _documents(client, interval, once, order)
        elif once or not is_terminal():
            _one(client, interval, order)
        else:
            _live(client, interval, order)
    except KeyboardInterrupt:
        pass  # the usual way to leave


def _sample(client: Client) -> Sample:
    found: Sample = client.get("/top")
    return found


def _pause(interval: float, since: float) -> None:
    time.sleep(max(0.0, since + interval - time.monotonic()))


def _one(client: Client, interval: float, order: str) -> None:
    """One interval as text."""
    since = time.monotonic()
    before = _sample(client)
    _pause(interval, since)
    found = figures(before, _sample(client), order)
    width = Screen.size()[0] if sys.stdout.isatty() else 1000
    click.echo(
        "\n".join(line.rstrip() for line in lines(found, max(width, NARROWEST), None, order))
    )


def _documents(client: Client, interval: float, once: bool, order: str) -> None:
    """Intervals as JSON, until the server or the reader has gone."""
    since = time.monotonic()
    before = _sample(client)
    while True:
        _pause(interval, since)
        since = time.monotonic()
        now = _sample(client)
        click.echo(json.dumps(figures(before, now, order).document()))
        if once:
            return
        before = now


def _live(client: Client, interval: float, order: str) -> None:
    """The whole terminal, until a key ends it. The first screen is of the time since the start."""
    sample = _sample(client)
    found = figures(None, sample, order)
    problem = ""
    with Screen() as screen:
        due = time.monotonic() + interval
        while True:
            _show(screen, found, order, problem)
            key = screen.key(due - time.monotonic())
            if key in ("q", "Q", GONE):
                return
            if key in KEYS:
                order = KEYS[key]
                found.routes.sort(key=ORDERS[order])
            elif key != RESIZED and time.monotonic() >= due:
                due = time.monotonic() + interval
                try:
                    before, sample = sample, _sample(client)
                    found, problem = figures(before, sample, order), ""
                except NotRunning:
                    raise AdminError("The server has ended.") from None
                except AdminError as error:
                    problem = str(error)  # it may answer again


def _show(screen: Screen, found: Figures, order: str, problem: str) -> None:
    width, height = screen.size()
    shown = lines(found, width, height, order)
    if problem and shown:
        shown[-1] = click.style(problem[:width], reverse=True)
    screen.show(shown)


command = admin_command(
    "top",
    top,
    [
        click.Option(
            ["--interval"], type=click.FloatRange(FLOOR, 3600.0), default=2.0, show_default=True,
            metavar="SECONDS", help="Time between two looks at the server.",
        ),
        click.Option(["--once"], is_flag=True, help="One interval as text, then the end."),
        click.Option(
            ["--sort", "order"], type=click.Choice(tuple(ORDERS)), default="rate",
            show_default=True, help="Order of the routes.",
        ),
    ],
    short_help="Show the workers, routes and requests of a running server live.",
)  # fmt: skip
