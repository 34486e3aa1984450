"""A profile as tables for a terminal, and as collapsed stacks for other tools."""

from __future__ import annotations

import re

from carboy.cli.admin.profiles.profile import Function, Profile, functions, services, stacks
from carboy.cli.admin.tables import duration, number, table

FUNCTIONS = 20  # in the table
ROUTES = 20
SERVICES = 20
SHOWN = 5.0  # percent of the samples that come late on a busy machine


def shown(profile: Profile) -> str:
    """The routes, services and functions with most samples."""
    lines = [facts(profile)]
    if not profile.root.total:
        return f"{lines[0]}\nNo request ran. Use --all-threads for what the other threads do."
    routes = [
        (f"{profile.share(each.total):.1f} %", f"{profile.time(each.total):.2f} s",
         clean(each.function.name))
        for each in profile.routes()[:ROUTES]
    ]  # fmt: skip
    lines += ["", *table(("SHARE", "TIME", "ROUTE"), routes, ">>"), ""]
    waits = [
        (f"{profile.share(count):.1f} %", f"{profile.time(count):.2f} s", clean(name))
        for name, count in services(profile).most_common(SERVICES)
    ]
    if waits:
        lines += [*table(("SHARE", "TIME", "WAITS FOR"), waits, ">>"), ""]
    own, total = functions(profile)
    most = sorted(total, key=lambda each: (-own[each], -total[each], each))[:FUNCTIONS]
    rows = [
        (f"{profile.share(own[each]):.1f} %", f"{profile.time(own[each]):.2f} s",
         f"{profile.share(total[each]):.1f} %", f"{profile.time(total[each]):.2f} s",
         clean(each.label()))
        for each in most
    ]  # fmt: skip
    lines += table(("OWN", "", "TOTAL", "", "FUNCTION"), rows, ">>>>")
    return "\n".join(lines)


def facts(profile: Profile) -> str:
    """The profile in one line."""
    has_threads = any(each.function.name.startswith("(thread ") for each in profile.routes())
    did = "were sampled" if has_threads else "ran requests"
    found = (
        f"{number(len(profile.workers), 'worker')}, {duration(profile.seconds)},"
        f" {profile.rate:g} samples a second: threads {did} for"
        f" {profile.time(profile.root.total):.2f} s in total"
    )
    late = 100.0 * profile.missed / max(1, profile.samples + profile.missed)
    if late >= SHOWN:
        found += f". {late:.0f} % of the samples came late"
    if profile.cut:
        found += f". The stacks of {number(profile.cut, 'sample')} are not complete"
    return found + "."


def collapsed(profile: Profile) -> str:
    """A line for each stack, "route;outer;inner 12", as flamegraph.pl and others read it."""
    lines = [f"{';'.join(map(_frame, stack))} {count}\n" for stack, count in stacks(profile.root)]
    return "".join(lines)


def _frame(function: Function) -> str:
    return clean(function.label()).replace(";", ",")


def clean(text: str) -> str:
    """Without what a terminal would act upon, and what cannot be written as UTF-8."""
    whole = text.encode("utf-8", "replace").decode()
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", "?", whole)
