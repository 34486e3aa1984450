"""A run of all works on all servers, and its record."""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import measure
from bench.expect import Results
from bench.servers import SERVERS, Server, ServerFailed
from bench.under_load import Bench, Figures
from bench.work import Work
from bench.works import WORKS


@dataclass
class Outcome:
    """The outcome of one work: figures by server, and reasons for missing figures."""

    figures: dict[str, Figures] = field(default_factory=dict)
    rounds: dict[str, list[Figures]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    when: str = ""
    settings: dict[str, float] = field(default_factory=dict)


@dataclass
class Record:
    """The outcomes by work, and the machine."""

    machine: dict[str, Any]
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def results(self) -> Results:
        return {key: outcome.figures for key, outcome in self.outcomes.items()}

    def works(self) -> list[Work]:
        return [work for work in WORKS if work.key in self.outcomes]

    def write(self, file: Path) -> None:
        content = {
            "machine": self.machine,
            "works": {
                work.key: {"title": work.title, **vars(self.outcomes[work.key])}
                for work in self.works()
            },
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(_rounded(content), indent=1) + "\n")


def read_record(file: Path) -> Record:
    """The record of an earlier run, without rivals that are measured no more.

    Raises FileNotFoundError.
    """
    content = json.loads(file.read_text())
    outcomes = {}
    for key, values in content["works"].items():
        values.pop("title")
        outcomes[key] = found = Outcome(**values)
        found.figures = {name: each for name, each in found.figures.items() if name in SERVERS}
    return Record(content["machine"], outcomes)


@dataclass(frozen=True)
class Plan:
    """The works and servers of one run."""

    works: Sequence[Work]
    servers: frozenset[str] | None  # None for all servers of each work
    rounds: int
    bench: Bench

    def servers_of(self, work: Work) -> list[Server]:
        return [SERVERS[name] for name in work.servers if not self.servers or name in self.servers]


class Runner:
    """Carries out a plan, and reports progress on standard error."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._absent: dict[str, str | None] = {}

    def outcome(self, work: Work) -> Outcome:
        """Measure all servers in turn in each round, in reverse order in every second round."""
        bench = self.plan.bench
        outcome = Outcome(
            when=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            settings={"rounds": self.plan.rounds, "seconds": bench.seconds, "idle": bench.idle},
        )
        candidates = [one for one in self.plan.servers_of(work) if self._present(one, outcome)]
        for number in range(self.plan.rounds):
            for server in candidates[:: -1 if number % 2 else 1]:
                if server.name not in outcome.failures:
                    self._measure(server, work, outcome)
        for server in candidates:
            if server.name not in outcome.failures:
                outcome.figures[server.name] = measure.medians(outcome.rounds[server.name])
        return outcome

    def _measure(self, server: Server, work: Work, outcome: Outcome) -> None:
        start = time.monotonic()
        try:
            figures = measure.once(self.plan.bench, server, work)
        except ServerFailed as error:
            outcome.failures[server.name] = str(error)
            _tell(f"({work.key}) {server.label:<24} failed: {error}")
            return
        outcome.rounds.setdefault(server.name, []).append(figures)
        said = "  ".join(f"{name} {value:,.4g}" for name, value in list(figures.items())[:3])
        _tell(f"({work.key}) {server.label:<24} {said}  [{time.monotonic() - start:.1f} s]")

    def _present(self, server: Server, outcome: Outcome) -> bool:
        if server.name not in self._absent:
            self._absent[server.name] = server.absent()
        reason = self._absent[server.name]
        if reason:
            outcome.failures[server.name] = f"missing: {reason}"
            _tell(f"{server.label:<24} missing: {reason}")
        return not reason


def _rounded(value: Any) -> Any:
    """Floats with six significant digits, more than a measurement has."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
