"""The rules of a shared cache (RFC 9111): what may be kept, for how long, and for whom.

Decides only. Nothing is kept without an explicit time: `s-maxage`, `max-age` or `Expires`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from carboy.dates import parse_date
from carboy.gateway.request_fields import joined
from carboy.server.dataclass import dataclass

Headers = list[tuple[str, str]]
# Statuses that are final and whose meaning this cache knows (RFC 9111, section 3).
KEPT = frozenset({"200", "203", "204", "300", "301", "302", "307", "308", "404", "405", "410",
                  "414", "501"})  # fmt: skip
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# They replace a response that stale-if-error allows to reuse (RFC 5861, section 4).
ERRORS = frozenset({"500", "502", "503", "504"})
_directive = re.compile(r'([\w-]+)(?:\s*=\s*("[^"]*"|[^\s,;]*))?').findall
MOST_SECONDS = 2**31  # RFC 9111, section 1.2.2


def directives(value: str) -> dict[str, str]:
    """The directives of a Cache-Control field, in lower case; "" for one without an argument."""
    found: dict[str, str] = {}
    for name, argument in _directive(value):
        found.setdefault(name.lower(), argument.strip('"'))
    return found


def seconds(found: dict[str, str], name: str) -> int | None:
    """The argument of a directive in seconds; None without it, 0 if it is not a number."""
    if name not in found:
        return None
    text = found[name]
    return min(int(text), MOST_SECONDS) if text.isascii() and text.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Asked:
    """The wishes of a request."""

    uses: bool = True  # a kept response may be used
    keeps: bool = True  # the response may be kept
    max_age: int | None = None
    min_fresh: int = 0
    only_cached: bool = False
    authorized: bool = False


def asked_by(fields: dict[str, str]) -> Asked:
    """The wishes in the fields of a GET or HEAD."""
    found = directives(fields.get("cache-control", ""))
    if "cache-control" not in fields and "no-cache" in fields.get("pragma", "").lower():
        found = {"no-cache": ""}
    return Asked(
        uses="no-cache" not in found and "no-store" not in found,
        keeps="no-store" not in found,
        max_age=seconds(found, "max-age"),
        min_fresh=seconds(found, "min-fresh") or 0,
        only_cached="only-if-cached" in found,
        authorized="authorization" in fields,
    )


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Seconds for which a response may be used, counted from when it was made."""

    fresh: int
    while_revalidate: int
    if_error: int
    age: int  # when it came


def lifetime(status: str, headers: Headers, authorized: bool) -> Lifetime | None:
    """The lifetime of a response to a GET; None if it may not be kept."""
    fields = joined(headers)
    found = directives(fields.get("cache-control", ""))
    if (
        status[:3] not in KEPT
        or not found.keys().isdisjoint({"no-store", "private", "no-cache"})
        or "set-cookie" in fields
        or "*" in fields.get("vary", "")
        or "content-range" in fields
        or "connection" in fields
    ):
        return None
    # RFC 9111, section 3.5
    if authorized and found.keys().isdisjoint({"public", "s-maxage", "must-revalidate"}):
        return None
    fresh = seconds(found, "s-maxage")
    if fresh is None:
        fresh = seconds(found, "max-age")
    if fresh is None and "expires" in fields:
        end, date = parse_date(fields["expires"]), parse_date(fields.get("date"))
        fresh = int((end - date).total_seconds()) if end and date else _until(fields["expires"])
    age = fields.get("age", "")
    since = int(age) if age.isascii() and age.isdecimal() else 0
    if fresh is None or fresh <= since:
        return None
    stale = (0, 0)
    if found.keys().isdisjoint({"must-revalidate", "proxy-revalidate"}):
        stale = (
            seconds(found, "stale-while-revalidate") or 0,
            seconds(found, "stale-if-error") or 0,
        )
    return Lifetime(fresh, *stale, since)


def _until(expires: str) -> int:
    """Seconds from now to a date; 0 for text that is not a date."""
    end = parse_date(expires)
    return int((end - datetime.now(UTC)).total_seconds()) if end else 0


def varies_by(headers: Headers) -> tuple[str, ...]:
    """The names of request fields that select the response, in lower case and in order."""
    values = ",".join(value for name, value in headers if name.lower() == "vary")
    return tuple(sorted({each.strip().lower() for each in values.split(",") if each.strip()}))


def variant(names: tuple[str, ...], fields: dict[str, str]) -> tuple[str | None, ...]:
    """The values that select a response, without differences in white space."""
    return tuple(
        None if (value := fields.get(name)) is None else re.sub(r"\s*,\s*", ",", value.strip())
        for name in names
    )
