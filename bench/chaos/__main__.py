"""`python -m bench.chaos`: injects faults under verified load, and counts lost requests.

The exit code is 1 when Carboy misses a goal.
"""

from __future__ import annotations

import argparse
import datetime
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench import load, machine, rivals
from bench.chaos import report
from bench.chaos.fault import Fault, carry_out
from bench.chaos.faults import FAULTS
from bench.chaos.report import Outcome
from bench.chaos.servers import SERVERS
from bench.servers import ServerFailed

DOCUMENT = rivals.ROOT / "docs" / "reliability.md"
RIVALS = ("gunicorn", "granian", "flask")
QUICK = 0.4
FILES = 8192


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("fault", nargs="*", help="names of the faults (default: all)")
    parser.add_argument(
        "--servers", help="names of the servers, separated by commas (default: all)"
    )
    parser.add_argument("--minutes", type=float, help="time for which each fault is injected")
    parser.add_argument("--quick", action="store_true", help="inject each fault less often")
    parser.add_argument(
        "--write", action="store_true", help="write the results into docs/reliability.md"
    )
    parser.add_argument(
        "--logs", type=Path, metavar="DIR", help="folder in which the logs of the servers are kept"
    )
    parser.add_argument(
        "--no-install", action="store_true", help="do not install the other servers"
    )
    parser.add_argument("--list", action="store_true", help="list the faults")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.list:
        for fault in FAULTS:
            print(f"{fault.name:<14} {fault.title}: {', '.join(fault.servers)}")
        return 0
    faults = chosen(
        options.fault,
        [fault.name for fault in FAULTS],
        [fault.name for fault in FAULTS if not fault.only_by_name],
    )
    servers = chosen(options.servers.split(",") if options.servers else [], list(SERVERS))
    if options.write and options.servers and not options.fault:
        sys.exit("--write of all faults needs all servers. Leave out --servers, or name faults.")
    if not options.no_install and set(servers) != {"carboy"}:
        rivals.install(RIVALS)
    load.allow_files(FILES)
    warn_if_busy()
    # An exception instead of the default, so that the servers are stopped, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        place = options.logs or Path(folder)
        plan = [fault for fault in FAULTS if fault.name in faults]
        outcomes = [attempt(fault, servers, place, scale(fault, options)) for fault in plan]
    print(report.terminal(outcomes, colour=sys.stdout.isatty()))
    print(f"{(time.monotonic() - begin) / 60:.1f} minutes", file=sys.stderr)
    if options.write:
        write(outcomes, all_of_them=not options.fault)
    return int(any(outcome.missed for outcome in outcomes))


def write(outcomes: list[Outcome], all_of_them: bool) -> None:
    """Write the tables into the page; those of other faults stay if only some have run."""
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    facts = machine.describe().as_json()
    if all_of_them:
        text = report.markdown(outcomes, facts, when)
    else:
        _, before, _ = report.written(DOCUMENT)
        order = [fault.name for fault in FAULTS]
        text = report.merged(before, report.tables(outcomes, facts, when), order)
    report.write_document(text, DOCUMENT)
    print(f"written: {DOCUMENT.relative_to(rivals.ROOT)}")


def scale(fault: Fault, options: argparse.Namespace) -> float:
    """The time for which a fault is injected, as a multiple of its usual time."""
    if options.minutes:
        return float(options.minutes) * 60 / fault.seconds
    return QUICK if options.quick else 1.0


def warn_if_busy() -> None:
    share = machine.busy()
    if share > machine.BUSY:
        tell(f"Other programs use {share:.0%} of this machine, so servers will seem too slow.")


def chosen(wanted: list[str], known: list[str], usual: list[str] | None = None) -> list[str]:
    """The wanted names; if there are none, the usual ones, which are all unless given."""
    if unknown := set(wanted) - set(known):
        sys.exit(f"Unknown name: {', '.join(sorted(unknown))}. --list shows the names.")
    return [name for name in known if name in wanted] or (known if usual is None else usual)


def attempt(fault: Fault, servers: list[str], place: Path, scale: float) -> Outcome:
    """Run `fault` on each server that has the feature it is about, `scale` times as long."""
    outcome = Outcome(fault)
    for name in fault.servers:
        if name not in servers:
            continue
        folder = place / fault.name / name
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        if reason := fault.absent() or SERVERS[name].absent():
            outcome.failures[name] = f"not run: {reason}"
            continue
        try:
            result = carry_out(fault, SERVERS[name], folder, scale)
        except ServerFailed as error:
            outcome.failures[name] = str(error)
            tell(f"{fault.name:<14} {name:<10} failed: {error}")
            continue
        outcome.results[name] = result
        word = f"missed: {'; '.join(result.misses)}" if result.misses else "met"
        took = time.monotonic() - began
        tell(f"{fault.name:<14} {name:<10} {result.right:,} of {result.sent:,} right, "
             f"{result.lost} lost, {word}  [{took:.1f} s]")  # fmt: skip
    return outcome


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
