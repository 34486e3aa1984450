"""The results as tables: in the terminal, and in docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.expect import Verdict, judge
from bench.run import Outcome, Record
from bench.servers import SERVERS
from bench.under_load import Figures
from bench.work import BEST_IS_LOW, Kind, Work

BEGIN = "<!-- results: begin (written by python -m bench --write; do not edit) -->"
END = "<!-- results: end -->"


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    figure: str
    show: Callable[[float], str]


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _short(value: float) -> str:
    """At most three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


RATE = Column("req/s", "requests_per_second", _whole)
P50 = Column("p50 ms", "p50_ms", _short)
P99 = Column("p99 ms", "p99_ms", _short)
CPU = Column("CPU µs", "cpu_us", _short)
RSS = Column("RSS MiB", "rss_mib", _short)
LOAD = Column("load %", "busy_percent", _whole)
LOADED = (RATE, P50, P99, CPU, RSS, LOAD)
MESSAGES = (Column("messages/s", "requests_per_second", _whole), P50, P99, CPU, RSS)
KIB = Column("KiB per connection", "connection_kib", _short)
OPEN = Column("still open", "kept", _whole)

COLUMNS: dict[Kind, tuple[Column, ...]] = {
    Kind.LOAD: LOADED,
    Kind.HTTP2: LOADED,
    Kind.BESIDE: (*LOADED, Column("CPU-bound ms", "beside_ms", _short)),
    Kind.IDLE: (
        RATE,
        Column("without idle", "alone_per_second", _whole),
        P99,
        KIB,
        OPEN,
        RSS,
    ),
    Kind.PROCESS: (
        Column("import ms", "import_ms", _short),
        Column("app MiB", "interpreter_mib", _short),
        Column("served MiB", "rss_mib", _short),
    ),
    Kind.RESUMED: (RATE, CPU, RSS, LOAD),
    Kind.ECHO: MESSAGES,
    Kind.FAN_OUT: (*MESSAGES, OPEN),
    Kind.SOCKETS: (KIB, Column("CPU µs to open", "open_us", _short), OPEN, RSS),
    Kind.HELD: (
        RATE,
        Column("without streams", "alone_per_second", _whole),
        P99,
        Column("without streams", "alone_p99_ms", _short),
        KIB,
        OPEN,
        RSS,
    ),
}


def ordered(work: Work, outcome: Outcome) -> list[str]:
    """The names of the servers, the best first."""
    first = COLUMNS[work.kind][0].figure
    return sorted(
        outcome.figures,
        key=lambda name: outcome.figures[name][first],
        reverse=work.kind not in BEST_IS_LOW,
    )


def ratio(work: Work, figures: Figures, ours: Figures | None) -> str:
    """How many times as good as this server Carboy is, by the first figure of the table."""
    if not ours:
        return ""
    first = COLUMNS[work.kind][0].figure
    mine, other = ours[first], figures[first]
    if work.kind in BEST_IS_LOW:
        mine, other = other, mine
    return f"{_short(mine / other)} ×" if other else ""


def table(work: Work, outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Titles and rows as text. The first cell of a row is the label of the server."""
    columns = COLUMNS[work.kind]
    ours = outcome.figures.get(work.ours)
    titles = ["server", *(column.title for column in columns), "Carboy / server"]
    rows = []
    for name in ordered(work, outcome):
        figures = outcome.figures[name]
        cells = [
            column.show(figures[column.figure]) if column.figure in figures else ""
            for column in columns
        ]
        rows.append([SERVERS[name].label, *cells, ratio(work, figures, ours)])
    return titles, rows


# --- in the terminal


def terminal(record: Record, keys: list[str], *, colour: bool) -> str:
    """The tables of the works `keys`, then the promises about them."""
    paint = _paint if colour else _plain
    parts = [_terminal_table(work, record, paint) for work in record.works() if work.key in keys]
    parts.append(
        _terminal_verdicts([v for v in judge(record.results) if v.promise.work in keys], paint)
    )
    return "\n".join(parts)


def _terminal_table(work: Work, record: Record, paint: Callable[[str, str], str]) -> str:
    outcome = record.outcomes[work.key]
    titles, rows = table(work, outcome)
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
    lines = [paint("1", f"({work.key}) {work.title}")]
    lines.append(paint("2", "  " + _aligned(titles, widths)))
    labels = {SERVERS[name].label for name in SERVERS if SERVERS[name].ours}
    for row in rows:
        text = "  " + _aligned(row, widths)
        lines.append(paint("1;32", text) if row[0] in labels else text)
    for name, reason in outcome.failures.items():
        lines.append(paint("33", f"  {SERVERS[name].label}: {reason}"))
    return "\n".join(lines) + "\n"


def _aligned(row: list[str], widths: list[int]) -> str:
    first = row[0].ljust(widths[0])
    return "  ".join(
        [first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
    )


def _terminal_verdicts(verdicts: list[Verdict], paint: Callable[[str, str], str]) -> str:
    colours = {"met": "32", "not met": "31", "not measured": "2"}
    lines = [paint("1", "Promises")]
    for one in verdicts:
        promise = one.promise
        text = f"({promise.work}) {promise.text}"
        lines.append(f"  {text:<58} {_said(one):>22}  {paint(colours[one.word], one.word)}")
    return "\n".join(lines)


def _said(verdict: Verdict) -> str:
    promise = verdict.promise
    sign = "≤" if promise.at_most else "≥"
    value = "–" if verdict.value is None else _short(verdict.value) + promise.unit
    return f"{value} ({sign} {promise.bound:g}{promise.unit})"


def _paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m"


def _plain(code: str, text: str) -> str:
    return text


# --- in the documentation


def markdown(record: Record) -> str:
    """The text between the two markers in docs/benchmarks.md."""
    parts = ["![Requests per second of Carboy and of other servers](benchmarks/chart.svg)\n"]
    parts.append(_markdown_machine(record))
    parts.append(_markdown_verdicts(judge(record.results)))
    parts += [_markdown_table(work, record.outcomes[work.key]) for work in record.works()]
    return "\n".join(parts)


def write_document(record: Record, file: Path) -> None:
    """Replace the text between the markers in `file`."""
    text = file.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{file} has no markers. It needs these two lines:\n{BEGIN}\n{END}")
    file.write_text(f"{before}{BEGIN}\n\n{markdown(record)}\n{END}{after}")


def _markdown_machine(record: Record) -> str:
    machine = record.machine
    rivals = ", ".join(f"{name} {version}" for name, version in machine["rivals"].items())
    outcomes = list(record.outcomes.values())
    days = sorted({outcome.when[:10] for outcome in outcomes})
    rounds = sorted({int(outcome.settings["rounds"]) for outcome in outcomes})
    seconds = sorted({outcome.settings["seconds"] for outcome in outcomes})
    return (
        f"Measured on {' and '.join(days)}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:g} GiB, {machine['system']}, {machine['python']}, "
        f"wrk {machine['wrk']}; medians of {_listed(rounds)} rounds of {_listed(seconds)} seconds. "
        f"Carboy {machine['carboy']} at {machine['commit']}.\n\nOther servers: {rivals}.\n"
    )


def _listed(values: list[int] | list[float]) -> str:
    return " or ".join(f"{value:g}" for value in values)


def _markdown_verdicts(verdicts: list[Verdict]) -> str:
    lines = [
        "### Promises\n",
        "| work | figure of Carboy | promised | measured | |",
        "|---|---|--:|--:|---|",
    ]
    for one in verdicts:
        promise = one.promise
        sign = "≤" if promise.at_most else "≥"
        value = "–" if one.value is None else f"{_short(one.value)}{promise.unit}"
        word = one.word if one.met else f"**{one.word}**"
        lines.append(
            f"| ({promise.work}) | {promise.text} | {sign} {promise.bound:g}{promise.unit} "
            f"| {value} | {word} |"
        )
    return "\n".join(lines) + "\n"


def _markdown_table(work: Work, outcome: Outcome) -> str:
    titles, rows = table(work, outcome)
    lines = [f"### ({work.key}) {work.title}\n", "| " + " | ".join(titles) + " |"]
    lines.append("|---|" + "--:|" * (len(titles) - 1))
    labels = {server.label for server in SERVERS.values() if server.ours}
    for row in rows:
        cells = [f"**{cell}**" if row[0] in labels and cell else cell for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    for name, reason in outcome.failures.items():
        lines.append(f"\n{SERVERS[name].label} was not measured: {_one_line(reason)}")
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:300]
