"""Exercise: header lines, and the one that has to be there."""

from __future__ import annotations

from collections.abc import Sequence

from carboy.dev.learn.exchanges import Exchange, Seen, all_of
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

# Headers that programs send by themselves.
ORDINARY = (
    "host", "user-agent", "accept", "accept-encoding", "accept-language", "connection",
    "content-length", "content-type", "transfer-encoding", "cookie", "cache-control", "pragma",
    "dnt", "priority", "referer", "upgrade-insecure-requests", "expect",
)  # fmt: skip


def own_header(each: Exchange) -> tuple[str, str] | None:
    """The first header that is not one of those that programs add."""
    own = (
        pair for pair in each.fields if pair[0].lower() not in ORDINARY and pair[0][:4] != "Sec-"
        and pair[0][:4] != "sec-"
    )  # fmt: skip
    return next((pair for pair in own if pair[1]), None)


def _without_host(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, lambda each: "needs a Host" in each.refused):
        return reached(f"The server refused it with {each.refused}, and closed the connection.")
    last, problem = attempt(found)
    if last is not None and last.head is not None and not problem:
        if last.head.minor == 0:
            return missing("HTTP/1.0 had no Host header yet. Use HTTP/1.1.")
        return missing(f"Your request has Host: {last.get('Host')}. Leave this line out.")
    return other(last, problem, "")


def _is_right(each: Exchange) -> bool:
    return (
        each.head is not None
        and each.head.path == "/headers"
        and each.response.status == 200
        and own_header(each) is not None
    )


def _with_own(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_right):
        name, value = own_header(each) or ("", "")
        return reached(f"The view got your header {name} with the value {value}.")
    last, problem = attempt(found, "/headers")
    return other(last, problem, "Add a header that no program adds, such as X-Color: blue.")


def _value_begins(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_right)
    own = own_header(each) if each else None
    if each is None or own is None:
        return None
    step = next(s for s in each.steps if [part.text for part in s.parts] == list(own))
    return str(step.parts[1].first - each.first), (
        f"The line begins at byte {step.first - each.first}, and its name, a colon and white space"
        " come before the value."
    )


EXERCISE = Exercise(
    key="headers",
    title="What a header line is, and which one a request must have",
    text=(
        "Header lines follow the request line: a name, a colon and a value. Upper and lower case"
        " are the same in a name. White space is allowed around the value, but not between the"
        " name and the colon. An empty line ends the head.",
        "Only one header is required in HTTP/1.1: Host. Many sites can share one address, and the"
        " server learns from Host which one is meant (RFC 9112, section 3.2). A request without it"
        " is refused.",
    ),
    goals=(
        Goal(
            "Send a request without a Host header, and look at how the server refuses it.",
            _without_host,
            "GET /headers HTTP/1.1\n\n",
        ),
        Goal(
            "Send a request for /headers with a Host header and a header of your own, such as"
            " X-Color: blue.",
            _with_own,
            "GET /headers HTTP/1.1\nHost: {host}\nX-Color: blue\n\n",
        ),
    ),
    questions=(
        Question(
            "At which byte of that request does the value of your own header begin? The first byte"
            " has number 0.",
            _value_begins,
        ),
    ),
    code=(
        Code(
            "protocol/head.py", "parse_host", "needs a Host header",
            "refuses a request without Host.",
        ),
        Code(
            "protocol/head.py", "split_field_line", 'line.partition(b":")',
            "splits a header line at its first colon.",
        ),
    ),
    tools=("curl -H 'Host:' http://{address}/headers", "curl -H 'X-Color: blue' http://{address}/headers"),
    learned="A header is a name, a colon and a value. HTTP/1.1 requires exactly one Host.",
)  # fmt: skip
