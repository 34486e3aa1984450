"""Formats of the access log that the user writes: '%(h)s "%(r)s" %(s)s %(id)s'.

A field is `%(name)s`: one of the names of gunicorn's access log, so that its formats can be used as
they are, or one of Carboy's own names. `%%` is a percent sign. A value that is not known is "-".
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from carboy.late import difflib
from carboy.server.logs.facts import Facts, Record
from carboy.server.logs.redaction import Private

Value = Callable[[Facts], Any]

# Quoted fields contain only these characters unchanged. Other bytes are written as \xNN, so that
# a client cannot end a field or a line of the log.
UNSAFE = re.compile(r"[^ !#-\[\]-~]")
FIELD = re.compile(
    r"%(?:(?P<percent>%)"
    r"|\((?P<name>[^()]*)\)(?P<flags>[-+ 0#]*[0-9]*(?:\.[0-9]+)?)(?P<kind>[sdf]))?"
)
# The header fields and variables of a request: {referer}i, {content-type}o, {REMOTE_PORT}e
NAMED = re.compile(r"\{(?P<name>[^{}]+)\}(?P<of>[ioe])").fullmatch

TEXTS: dict[str, Callable[[Facts], str]] = {
    # those of gunicorn
    "h": lambda facts: facts.client,
    "l": lambda facts: "",
    "u": Facts.user,
    "t": lambda facts: f"[{facts.local()}]",
    "r": Facts.request,
    "m": Facts.method,
    "U": Facts.path,
    "q": Facts.query,
    "H": Facts.protocol,
    "b": lambda facts: str(facts.bytes or ""),
    "f": lambda facts: facts.field("referer"),
    "a": lambda facts: facts.field("user-agent"),
    "L": lambda facts: f"{facts.seconds:.6f}",
    "p": lambda facts: f"<{os.getpid()}>",
    # Carboy's own
    "client": lambda facts: facts.client,
    "host": Facts.host,
    "id": Facts.id,
    "method": Facts.method,
    "path": Facts.path,
    "protocol": Facts.protocol,
    "query": Facts.query,
    "referer": lambda facts: facts.field("referer"),
    "request": Facts.request,
    "route": Facts.route,
    "scheme": Facts.scheme,
    "span_id": Facts.span_id,
    "time": Facts.utc,
    "trace_id": Facts.trace_id,
    "user": Facts.user,
    "user_agent": lambda facts: facts.field("user-agent"),
}
WHOLE: dict[str, Callable[[Facts], int]] = {
    "s": lambda facts: facts.status,
    "B": lambda facts: facts.bytes,
    "T": lambda facts: int(facts.seconds),
    "M": lambda facts: int(facts.seconds * 1e3),
    "D": lambda facts: int(facts.seconds * 1e6),
    "status": lambda facts: facts.status,
    "bytes": lambda facts: facts.bytes,
    "pid": lambda facts: os.getpid(),
}
# As text, these have six digits after the point.
SECONDS: dict[str, Callable[[Facts], float]] = {
    "seconds": lambda facts: facts.seconds,
    "queue": Facts.queue,
}
NAMES = (*TEXTS, *WHOLE, *SECONDS)
OF = {"i": Facts.field, "o": Facts.sent_field, "e": Facts.variable}


def escape(text: str) -> str:
    """`text` for a quoted field: quotes and backslashes escaped, other unsafe bytes as \\xNN."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text  # most texts, without the pattern
    return UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    if char in '"\\':
        return "\\" + char
    # Text of a request is latin-1: one character is one byte.
    encoded = char.encode("latin-1" if char <= "\xff" else "utf-8")
    return "".join(f"\\x{byte:02x}" for byte in encoded)


class FormatString:
    """Makes the lines of a format. Raises ValueError for a format with an unknown field."""

    def __init__(self, text: str, private: Private) -> None:
        self._private = private
        self._values: list[Value] = []
        self._template = FIELD.sub(self._read, text) + "\n"

    def _read(self, found: re.Match[str]) -> str:
        name, kind = found["name"], found["kind"]
        if found["percent"]:
            return "%%"
        if name is None:
            rest = found.string[found.start() : found.start() + 12]
            raise ValueError(
                f"The access log format has {rest!r} where a field is expected. Write a field as"
                " %(name)s, and a percent sign as %%."
            )
        if name in WHOLE:
            self._values.append(WHOLE[name])
        elif name in SECONDS and kind == "s":
            self._values.append(partial(_digits, SECONDS[name]))
        elif name in SECONDS:
            self._values.append(SECONDS[name])
        else:
            self._values.append(partial(_text, text_of(name)))
            if kind != "s":
                raise ValueError(
                    f"The field {name!r} of the access log format is text. Write %({name})s."
                )
        return f"%{found['flags']}{kind}"

    def __call__(self, record: Record) -> str:
        facts = Facts(record, self._private)
        return self._template % tuple([value(facts) for value in self._values])


def text_of(name: str) -> Callable[[Facts], str]:
    """The function that finds the text of a field. Raises ValueError for an unknown name."""
    if name in TEXTS:
        return TEXTS[name]
    named = NAMED(name)
    if named is not None:
        find, key = OF[named["of"]], named["name"]
        if find is not Facts.variable:
            key = key.lower()
        return lambda facts: find(facts, key)
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f" Did you mean %({near[0]})s?" if near else ""
    raise ValueError(
        f"The access log format has the unknown field %({name})s.{hint} Use one of"
        f" {', '.join(NAMES)}, {{header}}i, {{header}}o or {{variable}}e."
    )


def _text(find: Callable[[Facts], str], facts: Facts) -> str:
    return escape(find(facts)) or "-"


def _digits(find: Callable[[Facts], float], facts: Facts) -> str:
    return f"{find(facts):.6f}"
