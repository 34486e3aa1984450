"""Figures of a checkout: how large its rooms are, and how many files a newcomer opens.

    python tools/metrics.py                     this checkout
    python tools/metrics.py --tree DIR          another one
    python tools/metrics.py --before DIR        both, with differences; DIR is the older one
    python tools/metrics.py --json              for programs

The Python calls of a request are counted by the tests of the checkout that runs this script, in
the other checkout's code. That needs the environment of the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from code_map import ROOMS, Module, lines_of, modules, points_upwards, room_arrows

HERE = Path(__file__).resolve().parents[1]
QUESTIONS = Path(__file__).with_name("questions.toml")
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 500, 60
COUNT_CALLS = """
import json, runpy, sys, warnings
from calls import calls_of
tests = runpy.run_path(sys.argv[1])
counts = {}
for name, (build, path, kinds, budget) in tests["BUDGETS"].items():
    requests = [tests["request"](path, number) for number in range(kinds)]
    counts[name] = len(calls_of(build(), *requests, record=kinds > 1))
print(json.dumps(counts))
"""

Figures = dict[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Question:
    """Questions of a newcomer, and the files to open for the answers: (path, what it tells)."""

    text: str
    opens: list[tuple[str, str]]


def room_figures(found: list[Module]) -> Figures:
    """Files and lines of code of each room, without blank lines, comments and docstrings."""
    figures: Figures = {}
    for room in ("__init__", "__main__", *ROOMS):
        inside = [module for module in found if module.room == room]
        if inside:
            code = sum(lines_of(module.text).code for module in inside)
            figures[f"{room.strip('_')}: files"] = len(inside)
            figures[f"{room.strip('_')}: code"] = code
    figures["all: files"] = len(found)
    figures["all: code"] = sum(lines_of(module.text).code for module in found)
    return figures


def size_figures(found: list[Module]) -> Figures:
    """Long files and functions, and how much of the thread code is explanation."""
    functions = [lines for module in found for _, lines in module.functions()]
    files = [lines_of(module.text) for module in found]
    threads = [lines_of(module.text) for module in found if module.room == "server"]
    written = sum(each.code + each.comments + each.docstrings for each in threads)
    return {
        "lines": sum(each.total for each in files),
        "lines that are not blank": sum(
            each.code + each.comments + each.docstrings for each in files
        ),
        "lines of code": sum(each.code for each in files),
        f"files of more than {MOST_LINES} lines": sum(each.total > MOST_LINES for each in files),
        f"functions of more than {MOST_LINES_OF_A_FUNCTION} lines": sum(
            lines > MOST_LINES_OF_A_FUNCTION for lines in functions
        ),
        "functions": len(functions),
        "median lines of a function": statistics.median(functions),
        "comments in server/ (%)": _percent(sum(each.comments for each in threads), written),
        "docstrings in server/ (%)": _percent(sum(each.docstrings for each in threads), written),
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / max(whole, 1), 1)


def call_figures(tree: Path) -> Figures:
    """The Python calls of requests, from `recv` to `send`."""
    paths = [tree / "src", tree / "tests", HERE / "tests"]
    done = subprocess.run(
        [sys.executable, "-c", COUNT_CALLS, str(HERE / "tests/server/test_calls.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return {"calls": f"not counted: {done.stderr.strip().splitlines()[-1]}"}
    counted: dict[str, int] = json.loads(done.stdout)
    return dict(counted)


def questions(path: Path, key: str) -> list[Question]:
    """The questions with the files under `key`: "opens" or "before"."""
    rows = tomllib.loads(path.read_text("utf-8"))["question"]
    return [
        Question(row["text"], [(each["path"], each["finds"]) for each in row[key]]) for row in rows
    ]


def missing(asked: list[Question], tree: Path) -> list[str]:
    """Paths of the questions that are not in the checkout."""
    return sorted({path for each in asked for path, _ in each.opens if not (tree / path).is_file()})


def question_figures(asked: list[Question]) -> Figures:
    """How many files are opened."""
    opened = [path for each in asked for path, _ in each.opens]
    return {
        **{each.text: len(each.opens) for each in asked},
        "all opens": len(opened),
        "different files": len(set(opened)),
    }


def arrow_figures(found: list[Module]) -> Figures:
    """Rooms that reach rooms above them, and in which way."""
    upwards = {
        f"{room} -> {target}": ", ".join(sorted(ways))
        for (room, target), ways in room_arrows(found).items()
        if points_upwards((room, target))
    }
    return {"arrows upwards": len(upwards), **upwards}


def figures_of(tree: Path, key: str) -> dict[str, Figures]:
    """All figures of a checkout, in groups."""
    found = modules(tree)
    asked = questions(QUESTIONS, key)
    if lost := missing(asked, tree):
        print(f"{QUESTIONS.name} names files that {tree} lacks: {', '.join(lost)}", file=sys.stderr)
    return {
        "Rooms": room_figures(found),
        "Sizes": size_figures(found),
        "Python calls of a request": call_figures(tree),
        "Files opened for ten questions": question_figures(asked),
        "Room graph": arrow_figures(found),
    }


def graph(found: list[Module]) -> list[str]:
    """Each room with the rooms it reaches, from the top."""
    arrows = room_arrows(found)
    lines = []
    for room in reversed(ROOMS):
        targets = [t for t in ROOMS if (room, t) in arrows]
        if targets:
            marked = [f"{t} (up)" if points_upwards((room, t)) else t for t in targets]
            lines.append(f"  {room:<12} -> {', '.join(marked)}")
    return lines


def rooms_table(now: Figures, before: Figures | None) -> list[str]:
    """One line a room: its files and lines of code."""
    columns = [("files", 7), ("code", 9)]
    head = f"{'Rooms':<12}"
    for name, width in columns:
        parts = (f"{name} before", "now", "change") if before else (name,)
        head += "".join(
            f"{part:>{width + 6}}" if part == parts[0] else f"{part:>{width}}" for part in parts
        )
    lines = [head]
    for room in dict.fromkeys(name.partition(":")[0] for name in [*now, *(before or {})]):
        line = f"  {room:<10}"
        for name, width in columns:
            key = f"{room}: {name}"
            old, new = (before or {}).get(key), now.get(key)
            cells = (_shown(old), _shown(new), _change(old, new)) if before else (_shown(new),)
            line += f"{cells[0]:>{width + 6}}" + "".join(f"{cell:>{width}}" for cell in cells[1:])
        lines.append(line.rstrip())
    return lines


def table(now: dict[str, Figures], before: dict[str, Figures] | None) -> list[str]:
    """The figures as text; with a column of differences when there are older ones."""
    lines = rooms_table(now["Rooms"], before["Rooms"] if before else None)
    groups = {title: group for title, group in now.items() if title != "Rooms"}
    width = max(len(name) for group in groups.values() for name in group) + 2
    for title, group in groups.items():
        old = (before or {}).get(title, {})
        head = f"{'before':>17}{'now':>17}{'change':>8}" if before else ""
        lines += ["", f"{title:<{width}}{head}".rstrip()]
        for name in dict.fromkeys([*group, *old]):
            cells = f"{_shown(group.get(name)):>17}"
            if before:
                change = _change(old.get(name), group.get(name))
                cells = f"{_shown(old.get(name)):>17}{cells}{change:>8}"
            lines.append(f"  {name:<{width - 2}}{cells}".rstrip())
    return lines


def _change(old: Any, new: Any) -> str:
    if not isinstance(old, int | float) or not isinstance(new, int | float) or old == new:
        return ""
    return f"{round(new - old, 1):+,}"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description="Figures of a checkout of Carboy.")
    parser.add_argument("--tree", type=Path, default=HERE, help="Checkout to measure.")
    parser.add_argument("--before", type=Path, help="Older checkout to compare with.")
    parser.add_argument("--json", action="store_true", help="Figures as JSON.")
    asked = parser.parse_args()
    now = figures_of(asked.tree, "opens")
    before = figures_of(asked.before, "before") if asked.before else None
    if asked.json:
        print(json.dumps({"now": now, "before": before} if before else now, indent=2))
        return 0
    print("\n".join(table(now, before)))
    print("\nWhich room reaches which\n" + "\n".join(graph(modules(asked.tree))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
