"""Fields of a request that gateways read themselves, and the coding that a client prefers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from carboy.protocol.events import RequestHead

READ = "gateway.fields"  # in RequestHead.found
_weight = re.compile(r"\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE).fullmatch
# Clients choose the values, so few of them are remembered, and none that is long.
REMEMBERED, LONGEST = 256, 256
# RFC 9110, section 8.4.1.3
OTHER_NAMES = {"x-gzip": "gzip"}


def fields_of(head: RequestHead) -> dict[str, str]:
    """The fields of a request, as `joined` returns them."""
    found = head.found
    if found is None:
        found = head.found = {}
    fields: dict[str, str] | None = found.get(READ)
    if fields is None:
        fields = found[READ] = joined(head.fields())
    return fields


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values by names in lower case; repeated fields are joined (RFC 9110, section 5.3)."""
    fields: dict[str, str] = {}
    for name, value in pairs:
        name = name.lower()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def preferred_coding(accepted: str, offered: tuple[str, ...]) -> str | None:
    """The coding of `offered`, the server's best first, that a client prefers; None: no coding.

    `accepted` is the value of Accept-Encoding (RFC 9110, section 12.5.3).
    """
    if not accepted or not offered:
        return None
    if len(accepted) > LONGEST:
        return _preferred(accepted, offered)
    return _remembered(accepted, offered)


def _preferred(accepted: str, offered: tuple[str, ...]) -> str | None:
    weights = dict(_weights(accepted.split(",")))
    other = weights.get("*", 0.0)
    best, at = None, weights.get("identity", 0.0)
    for coding in offered:
        weight = weights.get(coding, other)
        if weight > at or (weight == at and weight > 0.0 and best is None):
            best, at = coding, weight
    return best


_remembered = lru_cache(REMEMBERED)(_preferred)


def _weights(parts: Iterable[str]) -> Iterable[tuple[str, float]]:
    """Each coding with its weight; a part that is malformed is left out."""
    for part in parts:
        coding, *parameters = part.split(";")
        coding = coding.strip().lower()
        weight = 1.0
        for parameter in parameters:
            found = _weight(parameter)
            weight = float(found[1]) if found else 0.0
        if coding:
            yield OTHER_NAMES.get(coding, coding), weight
