"""The events of a request on one time axis: an overview with a lane for each kind, and a list.

Bars are drawn in SVG, because the policy of the page forbids style attributes. They are hidden from
screen readers: the times beside them say the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import escape

from carboy.dev.requests.fingerprint import fingerprint
from carboy.dev.requests.store import Event, Record

# kind of events: the name of its lane
LANES = {
    "view": "View", "template": "Templates", "sql": "SQL", "cache": "Cache",
    "http": "Outgoing HTTP", "response": "Response", "signal": "Signals", "log": "Log",
    "flash": "Flash", "error": "Errors",
}  # fmt: skip
WIDTH = 1000  # units of the axis
NARROWEST = 3  # of a bar, so that something short can be seen
TICKS = 4
AXIS = f"viewBox='0 0 {WIDTH} 10' preserveAspectRatio=none aria-hidden=true"


def milliseconds(value: float) -> str:
    """0.04 ms, 12.3 ms, 2.05 s."""
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms"


def shown(record: Record) -> str:
    """The overview and the list of events."""
    if not record.events:
        return "<p class=empty>No signals, templates, log lines or errors.</p>"
    whole = length(record)
    return f"{_notes(record)}{_lanes(record, whole)}{_list(record, whole)}"


def length(record: Record) -> float:
    """Milliseconds of the time axis. Events of other threads may be after the response."""
    return max(record.took * 1000, *(each.at + each.took for each in record.events), 0.001)


def _notes(record: Record) -> str:
    told = [
        f"<li><b>N+1</b> {count:,} times <code>{escape(statement)}</code>"
        for statement, count in sorted(record.repeated.items(), key=lambda each: -each[1])
    ]
    return f"<ul class=repeated>{''.join(told)}</ul>" if told else ""


def _lanes(record: Record, whole: float) -> str:
    rows = []
    for kind in sorted(record.totals, key=lambda kind: list(LANES).index(kind)):
        total = record.totals[kind]
        bars = "".join(_bar(each, whole) for each in record.events if each.kind == kind)
        found = f", {record.hits:,} found" if kind == "cache" else ""
        time = milliseconds(total.ms) if total.ms else ""
        rows.append(
            f"<tr class={kind}><th scope=row>{LANES[kind]}<td class=n>{total.number:,}{found}"
            f"<td class=n>{time}<td class=lane><svg {AXIS}>{bars}</svg>"
        )
    ticks = "".join(f"<span>{milliseconds(whole * n / TICKS)}</span>" for n in range(TICKS + 1))
    return (
        "<table class=lanes><thead><tr><td><th scope=col class=n>Number<th scope=col class=n>Time"
        f"<td class=lane><div class=ticks aria-hidden=true>{ticks}</div>"
        f"<tbody>{''.join(rows)}</table>"
    )


def _bar(event: Event, whole: float) -> str:
    width = max(NARROWEST, event.took / whole * WIDTH)
    at = min(event.at / whole * WIDTH, WIDTH - width)
    title = escape(f"{event.title[:200]} · {milliseconds(event.took)}")
    return (
        f"<rect class={event.kind} x={max(at, 0):.1f} width={width:.1f} height=10>"
        f"<title>{title}</title></rect>"
    )


def _list(record: Record, whole: float) -> str:
    more = ""
    if record.left_out:
        kept = len(record.events)
        more = f"<p class=soft>{kept:,} of {kept + record.left_out:,} events are shown.</p>"
    rows: Iterable[str] = (_event(each, whole, record.repeated) for each in record.events)
    return f"<ol class=events>{''.join(rows)}</ol>{more}"


def _event(event: Event, whole: float, repeated: dict[str, int]) -> str:
    kind = str(escape(event.kind))
    common = fingerprint(event.title) if event.kind == "sql" else None
    times = repeated.get(common) if common else None
    mark = f" <em>×{times:,}</em>" if times else ""
    took = milliseconds(event.took) if event.took else ""
    head = (
        f"<span class=at>{milliseconds(event.at)}</span><span class=took>{took}</span>"
        f"<svg {AXIS}>{_bar(event, whole)}</svg><b>{kind}{mark}</b>"
    )
    if "\n" not in event.detail:
        title = f"<span class=title>{escape(event.title)}</span>"
        return f"<li class={kind}>{head}<span>{title} <code>{escape(event.detail)}</code></span>"
    opened = " open" if event.kind == "error" else ""
    return (
        f"<li class={kind}><details{opened}><summary>{head}<span>{escape(event.title)}</span>"
        f"</summary><pre>{escape(event.detail)}</pre></details>"
    )
