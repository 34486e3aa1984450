"""The lines of `carboy top`, for any size of the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from carboy.cli.admin.status import jobs, requests, title, workers
from carboy.cli.admin.tables import table
from carboy.cli.admin.top_figures import Figures, RouteFigures

HINT = "q: leave  r, l, e: sort by rate, latency, errors"
FIXED = 4  # lines besides the tables: two of the title, the summary and the hint
STANDS = 28  # columns of a request's age, worker and state
CUT = "…"


@dataclass(frozen=True, slots=True)
class Table:
    """The titles and the rows of a table, as lines."""

    lines: Sequence[str]

    def cut_to(self, rows: int) -> list[str]:
        """The table with so many rows; its last one says how many were left out."""
        titles, *own = self.lines
        if len(own) <= rows:
            return [titles, *own]
        shown = own[: max(0, rows - 1)]
        return [titles, *shown, *([f"{CUT} {len(own) - len(shown)} more"] if rows else [])]


def lines(found: Figures, width: int, height: int | None = None, order: str = "rate") -> list[str]:
    """All lines, none wider than the terminal; `height`: no more lines than that."""
    sample = found.sample
    longest = max(20, (width - STANDS) // 2)
    tables = [
        Table(workers(sample)),
        Table(_routes(found, order)),
        Table(requests(sample, longest=longest)),
    ]
    if shown_jobs := jobs(sample, longest=longest):
        tables.append(Table(shown_jobs))
    wanted = [len(each.lines) - 1 for each in tables]
    shares = wanted
    if height is not None:
        # A table has a line of titles and an empty line before it.
        shares = divided(height - FIXED - 2 * len(tables), wanted)
    shown = [*title(sample["server"]), _summary(found)]
    for each, share in zip(tables, shares, strict=True):
        shown += ["", *each.cut_to(share)]
    if height is not None:
        room = height - 1
        shown = [*shown[:room], *[""] * (room - len(shown)), HINT]
    return [fitted(line, width) for line in shown]


def divided(room: int, wanted: Sequence[int]) -> list[int]:
    """Rows for each table: one after another gets a row, until all have what they want."""
    shares = [0] * len(wanted)
    while room > 0 and shares != list(wanted):
        for place, most in enumerate(wanted):
            if shares[place] < most and room > 0:
                shares[place] += 1
                room -= 1
    return shares


def _summary(found: Figures) -> str:
    """The whole server in one line."""
    rate = sum(each.rate for each in found.routes)
    errors = sum(each.error_rate for each in found.routes)
    span = "since the start" if found.since_start else f"in the last {found.seconds:.1f} s"
    if not found.sample["counted"]:
        return "Requests are not counted (--no-metrics)."
    return f"{_rate(rate)} requests/s, {_rate(errors)} errors/s {span}"


def _routes(found: Figures, order: str) -> list[str]:
    marks = {"rate": "RATE/s", "latency": "P99", "errors": "ERRORS/s"}
    titles = [
        f"{name}*" if name == marks[order] else name
        for name in ("RATE/s", "P50", "P99", "ERRORS/s", "METHOD", "ROUTE")
    ]
    largest = found.sample["bounds"][-1] if found.sample["bounds"] else 0.0
    rows = [_row(each, largest) for each in found.routes]
    return table(titles, rows, ">>>>") if rows else ["No request has ended yet."]


def _row(each: RouteFigures, largest: float) -> tuple[str, ...]:
    return (
        _rate(each.rate),
        span(each.p50, largest),
        span(each.p99, largest),
        _rate(each.error_rate),
        each.method,
        each.route,
    )


def _rate(value: float) -> str:
    """A number for each second: 0, 0.25, 31.4, 12480."""
    if not value:
        return "0"
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def span(seconds: float | None, largest: float) -> str:
    """A duration with its unit: 0.4 ms, 12 ms, 1.5 s; "-" without one, and ">" above the bounds."""
    if seconds is None:
        return "-"
    sign = ">" if seconds >= largest else ""
    if seconds < 0.01:
        return f"{sign}{seconds * 1000:.1f} ms"
    return f"{sign}{seconds * 1000:.0f} ms" if seconds < 1 else f"{sign}{seconds:.1f} s"


def fitted(text: str, width: int) -> str:
    """A line without control characters, cut to so many columns of the terminal."""
    shown = "".join(each if each.isprintable() else "?" for each in text)
    if sum(map(_columns, shown)) <= width:
        return shown
    columns, found = 1, []  # one for the mark
    for each in shown:
        columns += _columns(each)
        if columns > width:
            break
        found.append(each)
    return "".join(found) + CUT


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
