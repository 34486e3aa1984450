"""Exercise: requests that two readers could understand in different ways."""

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

BOTH = "exclude each other"
# Other things that readers have understood in different ways: part of the reason.
AMBIGUOUS = (
    "LF without CR", "CR without LF", "header name", "white space", "more than one Content-Length",
    "Content-Length has to", "Transfer-Encoding has to", "transfer coding", "more than one Host",
    "chunk", "does not exist in HTTP/1.0",
)  # fmt: skip


def _is_smuggled(each: Exchange) -> bool:
    return BOTH in each.refused and each.unread > 0


def _two_lengths(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_smuggled):
        return reached(
            f"Refused with {each.refused}. The server closed the connection, and the"
            f" {each.unread} bytes after the head were not read as a request."
        )
    last, problem = attempt(found)
    if last is not None and BOTH in last.refused:
        return missing(
            "The request is refused, but nothing came after its head. Send a second request with"
            " it in one piece: in the terminal, write everything on one line with \\r\\n."
        )
    if last is not None and last.head is not None:
        has_length = last.get("Content-Length") is not None
        if has_length != last.head.chunked:
            absent = "Transfer-Encoding: chunked" if has_length else "Content-Length"
            return missing(f"Your request has only one length. Add {absent} as well.")
        return missing("Your request has neither Content-Length nor Transfer-Encoding. Add both.")
    return other(last, problem, "")


def _is_ambiguous(each: Exchange) -> bool:
    return any(part in each.refused for part in AMBIGUOUS)


def _ambiguous(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_ambiguous):
        return reached(f"Refused with {each.refused}.")
    last, problem = attempt(found)
    if last is not None and (BOTH in last.refused or not problem):
        return missing(
            "Try one of these: a space before a colon, a header line that begins with a space, a"
            " line that ends in \\n without \\r, or two Content-Length headers."
        )
    return other(last, problem, "")


def _unread(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_smuggled)
    if each is None:
        return None
    return str(each.unread), "Another reader could have taken them for a request of its own."


def _function(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_smuggled)
    step = next((step for step in each.steps if step.error), None) if each else None
    # The innermost function only makes the error.
    names = [code.co_name for code, _ in step.stack if code.co_name != "_bad"] if step else []
    return (names[0], "It is the rule of RFC 9112, section 6.3.") if names else None


EXERCISE = Exercise(
    key="smuggling",
    title="What a smuggled request looks like, and which rule stops it",
    text=(
        "Between a browser and an application there are often two readers of HTTP: a proxy and a"
        " server. If they disagree about where a request ends, an attacker can hide a second"
        " request in the body of the first. The proxy sees one request and checks it; the server"
        " sees two.",
        "The usual trick is a request with both Content-Length and Transfer-Encoding. Other tricks"
        " use lines that one reader accepts and the other does not. A careful server refuses all"
        " of them, closes the connection, and reads no further byte of it as a request.",
    ),
    goals=(
        Goal(
            "Send a request with both Content-Length and Transfer-Encoding: chunked, and a second"
            " request after it, in one piece. In the terminal, write everything on one line with"
            " \\r\\n for the line ends.",
            _two_lengths,
            r"POST /echo HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n"
            r"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /me HTTP/1.1\r\nHost: {host}\r\n" "\n",
        ),
        Goal(
            "Send another request that two readers could understand in different ways: for"
            " example with a space before the colon of Content-Length, or with a line that ends in"
            " LF alone.",
            _ambiguous,
            "POST /echo HTTP/1.1\nHost: {host}\nContent-Length : 5\n\n",
        ),
    ),
    questions=(
        Question(
            "How many bytes of your first attempt did the server never read as a request?", _unread
        ),
        Question("Which function of Carboy refused it? The step shows it.", _function),
    ),
    code=(
        Code(
            "protocol/head.py", "apply_framing", "exclude each other",
            "refuses a request with two lengths.",
        ),
        Code(
            "protocol/head.py", "chop", "a line ends in LF without CR",
            "refuses a line that ends in LF alone.",
        ),
        Code(
            "protocol/machine.py", "Machine._fail", "self._buffer.clear()",
            "discards everything that came after a broken rule.",
        ),
    ),
    learned="A request with two meanings is refused, and nothing after it is read.",
)  # fmt: skip
