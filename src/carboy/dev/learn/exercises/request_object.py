"""Exercise: where a header becomes `request.headers`."""

from __future__ import annotations

import linecache
import re
from collections.abc import Sequence

from carboy.dev.explain.byte_steps import FIELD, Step
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

UNUSUAL = re.compile(rb"[a-z0-9-]+:[ \t]{2,}[^ \t\r\n][^\r\n]*\r?\n?").fullmatch
SPLIT = '.partition(b":")'


def _step(each: Exchange) -> Step | None:
    """The step of the first header that is written in an unusual way."""
    for step in each.steps:
        line = each.raw[step.first - each.first : step.last - each.first]
        if step.kind == FIELD and UNUSUAL(line) and len(step.parts) == 2:
            return step
    return None


def _is_right(each: Exchange) -> bool:
    return (
        each.head is not None
        and each.head.path == "/headers"
        and each.response.status == 200
        and _step(each) is not None
    )


def _unusual(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_right):
        step = _step(each)
        name, value = (part.text for part in step.parts) if step else ("", "")
        return reached(
            f"You sent the name as {name}. The view has it as request.headers[{name.title()!r}],"
            f" with the value {value!r}, without the white space around it."
        )
    last, problem = attempt(found, "/headers")
    if last is not None and not problem:
        return missing(
            "None of your headers has a name in small letters and two or more spaces after its"
            " colon."
        )
    return other(last, problem, "")


def _function(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_right)
    step = _step(each) if each else None
    for code, line in step.ran if step else ():
        text = linecache.getline(code.co_filename, line)
        if SPLIT in text:
            return code.co_name, f"Its line {line} is: {text.strip()}"
    return None


def _value(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_right)
    step = _step(each) if each else None
    if step is None:
        return None
    return step.parts[1].text, "White space around a value does not belong to it."


EXERCISE = Exercise(
    key="request-object",
    title="Where a header becomes request.headers",
    text=(
        "The HTTP machine splits each header line into name and value, and checks both. It keeps"
        " the checked lines as bytes, because many views never look at most of the headers.",
        "When a view uses request.headers for the first time, Carboy makes a Headers object of the"
        " kept lines. It is like a dictionary in which upper and lower case are the same.",
    ),
    goals=(
        Goal(
            "Send a request for /headers with a header in an unusual form: the name in small"
            " letters, and at least two spaces after the colon, as in x-color:   blue.",
            _unusual,
            "GET /headers HTTP/1.1\nHost: {host}\nx-color:   blue\n\n",
        ),
    ),
    questions=(
        Question(
            "Which function of Carboy splits a header line at its colon? Look at the step of your"
            " header: it shows the functions that ran for it.",
            _function,
        ),
        Question("What is the value of your header in request.headers?", _value),
    ),
    code=(
        Code(
            "protocol/head.py", "HeadReader._field", "self._lines.append(line)",
            "keeps the checked line.",
        ),
        Code(
            "http/request/exchange.py", "_all_fields", "exchange.head.fields()",
            "takes the names and values from the lines that were kept.",
        ),
        Code(
            "http/request/exchange.py", "headers", "pairs.copy()",
            "makes the object that a view gets as request.headers.",
        ),
    ),
    tools=("curl -H 'x-color:   blue' http://{address}/headers",),
    learned="Lines are checked at once, and become request.headers when a view asks for it.",
)  # fmt: skip
