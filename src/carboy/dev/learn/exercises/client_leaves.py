"""Exercise: clients that are slow, and clients that leave."""

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

SLOW = "408: the body arrives too slowly"


def _too_slow(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, lambda each: each.refused == SLOW):
        return reached(
            f"The server waited for {each.head.content_length or 0 if each.head else 0} bytes, got"
            f" {len(each.body)}, and answered {each.refused}."
        )
    last, problem = attempt(found, "/echo")
    if last is not None and last.head is not None and last.open and problem:
        return missing(f"{problem} Wait until it gives up, 20 seconds after the head.")
    if last is not None and last.head is not None and not problem:
        return missing("Your request was complete. Send fewer bytes than Content-Length says.")
    return other(last, problem, "")


def _is_left(each: Exchange) -> bool:
    return (
        each.head is not None
        and each.head.path == "/count"
        and each.response.status == 200
        and not each.response.complete
        and not each.open
    )


def _left(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_left):
        return reached(
            f"The server noticed it when it sent line {_lines(each)}, ended the view's"
            " generator and closed the connection."
        )
    last, problem = attempt(found, "/count")
    if last is not None and not problem and last.open and last.response.status == 200:
        return missing("The view is counting. Now hang up.")
    return other(last, problem, "")


def _lines(each: Exchange) -> int:
    return each.response.body.count(b"\n")


def _count(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_left)
    if each is None:
        return None
    return str(_lines(each)), (
        "The first bytes after you left were still accepted by the kernel, so the last line may"
        " have gone nowhere."
    )


EXERCISE = Exercise(
    key="client",
    title="What happens when the client is slow, or leaves",
    text=(
        "A client that sends half of a request and then nothing would hold its connection without"
        " end. So a server has limits of time. Bodies have to arrive within 10 seconds, or at 500"
        " bytes a second (20 seconds in this course, because you type). Then the answer is 408.",
        "A client may also leave in the middle of a response. The server learns this only when it"
        " sends: the kernel then reports that nothing reads on the other side. Carboy stops the"
        " view's generator, so that its finally blocks and context managers run.",
    ),
    goals=(
        Goal(
            "Send a POST request for /echo with Content-Length: 100 and fewer bytes, and wait.",
            _too_slow,
            "POST /echo HTTP/1.1\nHost: {host}\nContent-Length: 100\n\nhello\n",
            "wait",
        ),
        Goal(
            "Send a request for /count, whose response takes two minutes, and hang up: in the"
            " terminal with a dot on its own line, in curl with Ctrl+C.",
            _left,
            "GET /count HTTP/1.1\nHost: {host}\n\n",
            ".",
        ),
    ),
    questions=(
        Question("How many lines had the view made when the server ended it?", _count),
    ),
    code=(
        Code(
            "server/deadlines.py", "", "the body arrives too slowly",
            "refuses a body that is too slow.",
        ),
        Code(
            "server/connection.py", "Connection.push", "self.broken = True",
            "notes that the client has gone.",
        ),
        Code(
            "server/responder.py", "", "raise ClientGone",
            "ends the response, and with it the generator.",
        ),
    ),
    tools=("curl http://{address}/count",),
    learned="A server has limits of time, and learns that a client has gone when it sends.",
)  # fmt: skip
