"""Exercise: the first line of a request."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs

from carboy.dev.learn.exchanges import START, Exchange, Seen, all_of
from carboy.dev.learn.exercise import (
    Answer,
    Code,
    Exercise,
    Goal,
    Question,
    Verdict,
    first,
    missing,
    reached,
)
from carboy.dev.learn.problems import attempt, other


def _is_right(each: Exchange) -> bool:
    head = each.head
    return (
        head is not None
        and head.method == "GET"
        and head.path == "/hello"
        and bool(parse_qs(head.query).get("name"))
        and each.response.status == 200
    )


def _greeted(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_right):
        method, target, version = each.line.decode("latin-1").split(" ")
        return reached(
            f"Your request line has the method {method}, the target {target} and the version"
            f" {version}."
        )
    last, problem = attempt(found, "/hello")
    if last is not None and last.head is not None and not problem:
        if last.head.method != "GET":
            return missing(f"Your method is {last.head.method}. This goal needs GET.")
        if not last.head.query:
            return missing("Your target has no query. Add ?name= and your name to the path.")
        return missing(f"Your query is {last.head.query}. It needs name= and a name.")
    return other(last, problem, "")


def _target_begins(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_right)
    step = each.step(START) if each else None
    if each is None or step is None:
        return None
    part = next(part for part in step.parts if part.name == "target")
    return str(part.first - each.first), (
        f"The method {each.line.split(b' ')[0].decode()} and one space come first."
    )


def _path(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_right)
    if each is None or each.head is None:
        return None
    return each.head.path, f"After the ?, {each.head.query} is the query: request.args."


EXERCISE = Exercise(
    key="request-line",
    title="What is in a request line",
    text=(
        "HTTP/1.1 is text on a TCP connection. A client connects to a port of a server and sends"
        " lines. Each line ends in two bytes, CR and LF, which are written \\r\\n.",
        "The first line of a request is the request line. It has three words with one space"
        " between them: the method (what to do), the target (with which resource) and the version"
        " of the protocol, HTTP/1.1. Header lines follow, at least Host: and a name, and then an"
        " empty line, which ends the head.",
    ),
    goals=(
        Goal(
            "Send a GET request for /hello with your name in the query, as in /hello?name=Ada.",
            _greeted,
            "GET /hello?name=Ada HTTP/1.1\nHost: {host}\n\n",
        ),
    ),
    questions=(
        Question(
            "At which byte of your request does the target begin? The first byte has number 0.",
            _target_begins,
        ),
        Question("Which part of the target does the view get as request.path?", _path),
    ),
    code=(
        Code(
            "protocol/head.py", "HeadReader._start", "= match.groups()",
            "splits the line into its three words.",
        ),
        Code(
            "protocol/head.py", "parse_target", 'target.partition(b"?")',
            "splits the target into path and query.",
        ),
    ),
    tools=("curl 'http://{address}/hello?name=Ada'",),
    learned="A request line is METHOD, target and version, with one space between them.",
)  # fmt: skip
