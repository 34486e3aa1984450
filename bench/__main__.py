"""`python -m bench`: the command line of the benchmarks."""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench import chart, expect, machine, measure, report, rivals
from bench.run import Plan, Record, Runner, read_record
from bench.servers import SERVERS, before
from bench.under_load import IMPORTS, Bench
from bench.work import Work
from bench.works import WORKS

RESULTS = rivals.ROOT / "docs" / "benchmarks" / "results.json"
CHART = rivals.ROOT / "docs" / "benchmarks" / "chart.svg"
DOCUMENT = rivals.ROOT / "docs" / "benchmarks.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("work", nargs="*", help="letters or names of the works (default: all)")
    parser.add_argument(
        "--servers", help="names of the servers, separated by commas (default: all)"
    )
    parser.add_argument(
        "--before",
        type=Path,
        metavar="DIR",
        help="compare Carboy only with Carboy from another checkout, in DIR",
    )
    parser.add_argument(
        "--rounds", type=int, help="number of measurements of each server (default: 3)"
    )
    parser.add_argument("--seconds", type=float, help="length of a measurement (default: 3)")
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--write", action="store_true", help="write the results into docs/")
    parser.add_argument(
        "--render", action="store_true", help="write docs/ from results.json, without measuring"
    )
    parser.add_argument(
        "--no-install", action="store_true", help="do not install the other servers"
    )
    parser.add_argument("--list", action="store_true", help="list works and servers")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.list:
        return list_all()
    if options.render:
        publish(read_record(RESULTS))
        return 0
    if options.before is not None and options.write:
        sys.exit("--before prints its figures. Leave out --write, or --before.")
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed. It generates the load (Debian: apt-get install wrk).")
    if not options.no_install and options.before is None:
        rivals.install()
    # Rivals have their byte code from their installation. PYTHONDONTWRITEBYTECODE may be set.
    compileall.compile_dir(rivals.ROOT / "src", quiet=1)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plan = make_plan(options, Path(folder))
        measure.prepare(Path(folder))
        warn_if_busy()
        record = carry_out(plan, with_earlier=options.write)
    keys = [work.key for work in plan.works]
    print(report.terminal(record, keys, colour=sys.stdout.isatty()))
    if options.write:
        publish(record)
    return 0


def make_plan(options: argparse.Namespace, folder: Path) -> Plan:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        print(
            "There is only one core. Server and load share it, so the figures are not reliable.",
            file=sys.stderr,
        )
    seconds = options.seconds or (1 if options.quick else 3)
    bench = Bench(
        server_core=cores[0],
        load_core=cores[-1],
        seconds=seconds,
        warm_up=1,
        folder=folder,
        imports=5 if options.quick else IMPORTS,
    )
    rounds = options.rounds or (1 if options.quick else 3)
    works = chosen_works(options.work)
    if options.before is not None:
        works = beside(works, options.before.resolve())
    return Plan(works, chosen_servers(options.servers), rounds, bench)


def beside(works: list[Work], checkout: Path) -> list[Work]:
    """The works with only Carboy, from this checkout and from another one."""
    if not (checkout / "src" / "carboy").is_dir():
        sys.exit(f"{checkout} is not a checkout of Carboy. It has no src/carboy.")
    found = []
    for work in works:
        ours = [name for name in work.servers if SERVERS[name].name.startswith("carboy")]
        both: list[str] = []
        for name in ours:
            server = before(SERVERS[name], checkout)
            SERVERS[server.name] = server
            both += [name, server.name]
        found.append(replace(work, servers=tuple(both)))
    return found


def chosen_works(names: list[str]) -> list[Work]:
    """The works with these names, or of these groups; letters may be written together."""
    wanted: set[str] = set()
    for name in " ".join(names).replace(",", " ").split():
        found = {work.key for work in WORKS if name in (work.key, work.group)}
        wanted |= found or set(name)
    unknown = wanted - {work.key for work in WORKS}
    if unknown:
        sys.exit(f"Unknown work: {', '.join(sorted(unknown))}. --list shows the works.")
    return [work for work in WORKS if not wanted or work.key in wanted]


def chosen_servers(names: str | None) -> frozenset[str] | None:
    if not names:
        return None
    wanted = frozenset(names.split(","))
    if unknown := wanted - set(SERVERS):
        sys.exit(f"Unknown server: {', '.join(sorted(unknown))}. --list shows the servers.")
    return wanted


def warn_if_busy() -> None:
    share = machine.busy()
    if share > machine.BUSY:
        print(
            f"Other programs use {share:.0%} of this machine. The figures will be too low.",
            file=sys.stderr,
        )


def carry_out(plan: Plan, *, with_earlier: bool) -> Record:
    """Measure. With `with_earlier`, the figures of other works are kept."""
    start = time.monotonic()
    record = Record(machine.describe().as_json())
    if with_earlier and RESULTS.exists():
        record.outcomes = read_record(RESULTS).outcomes
    runner = Runner(plan)
    for work in plan.works:
        record.outcomes[work.key] = runner.outcome(work)
    print(f"{(time.monotonic() - start) / 60:.1f} minutes\n", file=sys.stderr)
    return record


def publish(record: Record) -> None:
    record.write(RESULTS)
    chart.write_chart(record, CHART)
    report.write_document(record, DOCUMENT)
    print(
        f"Written: {', '.join(str(f.relative_to(rivals.ROOT)) for f in (RESULTS, CHART, DOCUMENT))}"
    )


def list_all() -> int:
    for work in WORKS:
        print(f"({work.key}) {work.title}: {', '.join(work.servers)}")
    print(f"{len(expect.PROMISES)} promises are compared with the results")
    return 0


if __name__ == "__main__":
    sys.exit(main())
