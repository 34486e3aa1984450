"""The pages of the list of requests: the list, one request, and the PIN form."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import escape

from carboy.dev.explain.terminal import duration as nanoseconds
from carboy.dev.requests import replay, waterfall
from carboy.dev.requests.replay import METHODS
from carboy.dev.requests.store import Pairs, Record
from carboy.dev.requests.waterfall import milliseconds

SHARED = Path(__file__).parent / "shared"
FILES = {"requests.css": "text/css", "requests.js": "text/javascript"}
# Seconds after a response within which its calls may still be written to the store.
STILL_WRITTEN = 5.0
FROM_SOCKET = "From the socket to the view and back"
UNITS = ((1024**2, "MiB"), (1024, "KiB"))


def file(name: str) -> str:
    """The content of one of FILES."""
    return (SHARED / name).read_text("utf-8")


def _whole(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><link rel=stylesheet href=/__carboy__/requests.css>"
        f"<script defer src=/__carboy__/requests.js></script><main>{body}</main></html>"
    )


def pin_form(tried: bool, exhausted: bool = False) -> str:
    """The page that asks for the PIN."""
    told = "Wrong PIN. " if tried else ""
    if exhausted:
        told = "Too many wrong PINs. Restart the server. "
    return _whole(
        "Carboy: PIN",
        "<h1>Requests</h1><form method=post action=/__carboy__/ class=pin>"
        f"<label for=pin>{told}Enter the PIN that is shown in the terminal:</label><input id=pin"
        " name=pin autofocus autocomplete=off inputmode=numeric><button>Open</button></form>",
    )


def not_found() -> str:
    """The page for a record that is no longer stored."""
    return _whole(
        "Carboy: not found", "<h1>Not found</h1><p>This request is no longer stored.</p>" + BACK
    )


BACK = "<p><a href=/__carboy__/ class=back>← all requests</a></p>"


def request_list(records: Iterable[Record], records_calls: bool | None = None) -> str:
    """The list, the newest first, with a switch for recording calls unless that is None."""
    rows = "".join(map(_row, records))
    empty = (
        ""
        if rows
        else "<p class=empty>There are no requests yet. Open a page of your application.</p>"
    )
    return _whole(
        "Carboy: requests",
        "<header><h1>Requests</h1><input type=search id=filter placeholder='Path or text  /'"
        f" aria-label=Filter>{FILTERS}"
        "<form method=post action=/__carboy__/clear><button>Clear</button>"
        f"</form>{_switch(records_calls)}</header><table class=list><thead><tr>"
        "<th>Time<th>Method<th>Target<th>Status"
        f"<th class=n>Duration<th class=sql>SQL<th class=cache>Cache<th class=http>Outgoing"
        f"<th class=n>Size<th>Endpoint<tbody id=rows>{rows}</table>{empty}"
        "<footer><kbd>j</kbd> <kbd>k</kbd> move, <kbd>Enter</kbd> open, <kbd>/</kbd> filter"
        "</footer>",
    )


def _select(name: str, label: str, options: Iterable[tuple[str, str]]) -> str:
    found = "".join(f"<option value='{value}'>{text}" for value, text in options)
    return f"<select id={name} aria-label='{label}'><option value=''>Any {label}{found}</select>"


FILTERS = "".join(
    [
        _select("status", "status", [(str(n), f"{n}xx") for n in range(2, 6)]),
        _select("method", "method", [(method, method) for method in METHODS]),
        _select(
            "took", "duration",
            [("10", "over 10 ms"), ("100", "over 100 ms"), ("1000", "over 1 s")],
        ),
        _select("since", "time", [("60", "last minute"), ("600", "last 10 minutes")]),
    ]
)  # fmt: skip


def _switch(on: bool | None) -> str:
    if on is None:
        return ""
    title = "Recording the calls makes requests slower"
    return (
        f"<form method=post action=/__carboy__/calls><button name=record title='{title}'"
        f" value={'no' if on else 'yes'} aria-pressed={str(on).lower()}>"
        f"Calls: {'on' if on else 'off'}</button></form>"
    )


def _row(record: Record) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(record.began))
    code = record.status[:3]
    return (
        f"<tr class=s{escape(code[:1])} data-method='{escape(record.method)}'"
        f" data-ms={record.took * 1000:.1f} data-began={record.began:.0f}>"
        f"<td>{moment}<td>{escape(record.method)}"
        f"<td class=target><a href=/__carboy__/{record.number}>{escape(record.target)}</a>"
        f"<td class=code>{_code(record)}<td class=n>{duration(record.took)}"
        f"{_work(record)}"
        f"<td class=n>{size(record.size)}<td class=soft>{escape(record.endpoint)}"
    )


def _work(record: Record) -> str:
    """Cells with the number and the time of SQL statements, cache calls and outgoing requests."""
    cells = []
    for kind in ("sql", "cache", "http"):
        total = record.totals.get(kind)
        text = f"{total.number:,} <small>{milliseconds(total.ms)}</small>" if total else ""
        if kind == "sql" and record.repeated:
            most = f"{max(record.repeated.values()):,} times"
            text += f" <b title='One statement was executed {most}'>N+1</b>"
        cells.append(f"<td class={kind}>{text}")
    return "".join(cells)


def _code(record: Record) -> str:
    code = escape(record.status[:3])
    if not record.has_page:
        return str(code)
    return f"<a href=/__carboy__/{record.number}/error title='Open the debugger'>{code}</a>"


def summary(record: Record, overflowed: bool) -> str:
    """A line about a request and its calls."""
    facts = [record.status, size(record.size), duration(record.took)]
    if overflowed:
        facts.append("too many calls: only the first are shown")
    return " · ".join(facts)


def request_details(
    record: Record,
    origin: str,
    steps: Sequence[dict[str, Any]] = (),
    records_calls: bool | None = None,
) -> str:
    """The page of one request; `steps` are the named steps of its calls.

    `records_calls`: whether calls are recorded now; None if they cannot be recorded.
    """
    facts = [
        ("Rule", record.rule), ("Endpoint", record.endpoint), ("Duration", duration(record.took)),
        ("Recording", duration(record.recording) if record.recording else ""),
        ("Size", size(record.size)), ("Client", record.client), ("Protocol", record.protocol),
    ]  # fmt: skip
    return _whole(
        f"{record.method} {record.target}",
        f"{BACK}<h1 class=s{escape(record.status[:1])}><code>{escape(record.method)}"
        f" {escape(record.target)}</code> <span class=code>{escape(record.status)}</span></h1>"
        f"<p class=actions>{_explain(record, steps, records_calls)}{_debugger_link(record)}</p>"
        f"<dl>{''.join(f'<div><dt>{n}<dd>{escape(v)}</div>' for n, v in facts if v)}</dl>"
        f"<h2>Events</h2>{waterfall.shown(record)}{_calls(record, steps)}"
        f"{_table('Request', record.request)}{_table('Form', record.form)}"
        f"{_table('Files', record.files)}{_json(record)}"
        f"{_table('Session', record.session)}"
        f"{_table('Response', record.response)}{_body(record)}"
        f"<h2>Send again</h2>{replay.form(record, records_calls is not None)}"
        f"<h2>In a terminal</h2><pre class=curl>{escape(replay.curl(record, origin))}</pre>",
    )


def _debugger_link(record: Record) -> str:
    if not record.has_page:
        return ""
    return f"<a class=button href=/__carboy__/{record.number}/error>Open the debugger →</a>"


def _explain(record: Record, steps: Sequence[Any], records_calls: bool | None) -> str:
    """The way to the chain of calls; without recorded calls the request is sent again."""
    if steps:
        address = f"/__carboy__/{record.number}/calls"
        return f"<a class=button href={address}>Explain this request →</a>"
    if records_calls is None:
        return ""
    safe = str(record.method in replay.SAFE).lower()
    title = "Sends the request again and records its calls"
    return (
        f"<button id=explain data-safe={safe} data-on={str(records_calls).lower()}"
        f" title='{title}'>Explain this request →</button>"
    )


def _calls(record: Record, steps: Sequence[dict[str, Any]]) -> str:
    if not steps and record.recording and time.time() - record.ended < STILL_WRITTEN:
        return f"<h2>{FROM_SOCKET}</h2><p class='empty awaited'>Loading …</p>"
    if not steps:
        hint = "Not recorded. <i>Explain this request</i> sends it again and records its calls."
        return f"<h2>{FROM_SOCKET}</h2><p class=empty>{hint}</p>"
    rows = "".join(
        f"<tr><td class=n>{step['number']}<td>{escape(step['title'])}"
        f"<td class=soft>{escape(step['where'])}<td class=n>{nanoseconds(step['time'])}"
        for step in steps
    )
    return (
        f"<h2>{FROM_SOCKET} <a href=/__carboy__/{record.number}/calls"
        f" class=calls>all calls with source code →</a></h2><table class=steps>{rows}</table>"
    )


def _table(title: str, pairs: Pairs) -> str:
    if not pairs:
        return ""
    rows = "".join(f"<tr><th scope=row>{escape(n)}<td>{escape(v)}" for n, v in pairs)
    return f"<h2>{title}</h2><table class=pairs>{rows}</table>"


def _json(record: Record) -> str:
    return f"<h2>JSON</h2><pre>{escape(record.json)}</pre>" if record.json else ""


def _body(record: Record) -> str:
    if not record.body:
        return ""
    return f"<details><summary>Body (beginning)</summary><pre>{escape(record.body)}</pre></details>"


def duration(seconds: float) -> str:
    """12.3 ms, 2.05 s."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def size(count: int) -> str:
    """512 B, 1.5 KiB."""
    for unit, name in UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
