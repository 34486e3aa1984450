"""The results as tables: in the terminal, and in docs/reliability.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos.fault import Fault, Result
from bench.chaos.servers import SERVERS

BEGIN = "<!-- results: begin (written by python -m bench.chaos --write; do not edit) -->"
END = "<!-- results: end -->"
TABLE = "### "  # the beginning of a table, before the name of its fault
TITLES = (
    "server", "faults", "sent", "right", "refused", "lost", "in killed", "s without service",
    "recovery s", "slowest probe s", "slowest s", "goals",
)  # fmt: skip


@dataclass
class Outcome:
    """The outcome of one fault: results by server, and reasons for missing results."""

    fault: Fault
    results: dict[str, Result] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def missed(self) -> bool:
        """Whether Carboy has missed a goal."""
        ours = self.results.get("carboy")
        return "carboy" in self.failures or (ours is not None and bool(ours.misses))


def cells(name: str, result: Result) -> list[str]:
    """A row of a table."""
    counts = (result.times, result.sent, result.right, result.refused, result.lost, result.excused)
    seconds = (result.without, result.recovery, result.slowest_probe, result.slowest)
    goals = "missed" if result.misses else "met"
    return [
        SERVERS[name].label,
        *(f"{count:,}" for count in counts),
        *("–" if value is None else f"{value:.1f}" for value in seconds),
        goals,
    ]


def terminal(outcomes: list[Outcome], *, colour: bool) -> str:
    """A table for each fault, as text."""
    return "\n".join(_terminal_table(one, colour) for one in outcomes)


def _terminal_table(outcome: Outcome, colour: bool) -> str:
    rows = {name: cells(name, result) for name, result in outcome.results.items()}
    table = [list(TITLES), *rows.values()]
    widths = [max(len(row[i]) for row in table) for i in range(len(TITLES))]
    lines = [_paint("1", outcome.fault.heading(), colour)]
    lines.append(_paint("2", "  " + _aligned(list(TITLES), widths), colour))
    for name, row in rows.items():
        result = outcome.results[name]
        code = "31" if result.misses else "32"
        lines.append(_paint(code, "  " + _aligned(row, widths), colour))
        lines += [f"    {text}" for text in (*result.misses, *result.notes)]
    lines += [f"  {SERVERS[name].label}: {why}" for name, why in outcome.failures.items()]
    return "\n".join(lines) + "\n"


def _aligned(row: list[str], widths: list[int]) -> str:
    others = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([row[0].ljust(widths[0]), *others])


def _paint(code: str, text: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text


def markdown(outcomes: list[Outcome], machine: Mapping[str, object], when: str) -> str:
    """The text between the two markers in docs/reliability.md, of a run of all faults."""
    return "\n".join([f"{conditions(machine, when)}.\n", *map(_markdown_table, outcomes)])


def tables(outcomes: list[Outcome], machine: Mapping[str, object], when: str) -> dict[str, str]:
    """The tables of a run of some faults, by the name of the fault; each says when it was made."""
    line = f"{conditions(machine, when)}.\n"
    found = {}
    for each in outcomes:
        heading, _, rest = _markdown_table(each).partition("\n\n")
        found[each.fault.name] = f"{heading}\n\n{line}\n{rest}"
    return found


def merged(text: str, new: Mapping[str, str], order: Sequence[str]) -> str:
    """The text between the markers with these tables instead of, or beside, its own."""
    head, *old = text.split(f"\n{TABLE}")
    known = {table.partition(":")[0]: f"{TABLE}{table}" for table in old} | dict(new)
    parts = [head, *(known[name] for name in order if name in known)]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def conditions(machine: Mapping[str, object], when: str) -> str:
    """The day, the machine and the versions of a run."""
    tools = machine["rivals"]
    assert isinstance(tools, dict)
    versions = [f"{name} {tools[name]}" for name in SERVERS if name in tools]
    carboy = f"Carboy {machine['carboy']} ({machine['commit']})"
    return (
        f"{when}; {machine['processor']}, {machine['cores']} processors, {machine['system']}, "
        f"{machine['python']}; {', '.join([carboy, *versions])}"
    )


def _markdown_table(outcome: Outcome) -> str:
    lines = [f"{TABLE}{outcome.fault.heading()}\n", f"| {' | '.join(TITLES)} |"]
    lines.append("|---|" + "--:|" * (len(TITLES) - 2) + "---|")
    remarks = []
    for name, result in outcome.results.items():
        row = cells(name, result)
        lines.append("| " + " | ".join([*row[:-1], _bold(row[-1])]) + " |")
        said = "; ".join((*result.misses, *result.notes))
        remarks += [f"{row[0]}: {_one_line(said)}."] if said else []
    remarks += [f"{SERVERS[n].label} failed: {_one_line(x)}" for n, x in outcome.failures.items()]
    return "\n".join([*lines, "", *(f"- {remark}" for remark in remarks)]) + "\n"


def _bold(word: str) -> str:
    return f"**{word}**" if word == "missed" else word


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:400]


def written(file: Path) -> tuple[str, str, str]:
    """The text of `file` before, between and after the markers."""
    before, begin, rest = file.read_text().partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{file} has no markers. It needs these two lines:\n{BEGIN}\n{END}")
    return before, between, after


def write_document(text: str, file: Path) -> None:
    """Replace the text between the markers in `file`."""
    before, _, after = written(file)
    file.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
