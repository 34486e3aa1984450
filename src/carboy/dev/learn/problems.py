"""The reason why a request was not accepted, in words that help to correct it."""

from __future__ import annotations

from collections.abc import Sequence

from carboy.dev.learn.exchanges import Exchange
from carboy.dev.learn.exercise import Verdict, missing
from carboy.dev.learn.typed import visible

NOTHING_YET = "No request has arrived yet."
SIZE = 60  # bytes of a line that are shown


def shown(data: bytes) -> str:
    """Bytes for a sentence."""
    text = visible(data[:SIZE])
    return f"{text}…" if len(data) > SIZE else text


def problem_of(exchange: Exchange) -> str:
    """Why the server did not accept the request, or ""."""
    if exchange.refused:
        return _explained(exchange)
    if exchange.head is None:
        return (
            "Your request is not complete: an empty line has to end its head, and the server waits"
            " for it."
        )
    if not (exchange.response.status or exchange.answered):
        return _unfinished_body(exchange)
    return ""


def attempt(found: Sequence[Exchange], path: str = "") -> tuple[Exchange | None, str]:
    """The last request for a path, or the last one, and what is wrong with it."""
    if not found:
        return None, NOTHING_YET
    last = found[-1]
    if problem := problem_of(last):
        return last, problem
    if path and last.head is not None and last.head.path != path:
        return last, f"Your request was for {last.head.path}. This goal needs {path}."
    return last, ""


def status_problem(exchange: Exchange) -> str:
    """The status with which the application refused the request, or ""."""
    status, reason = exchange.response.status, exchange.response.reason
    if exchange.head is not None and status == 404:
        return f"There is no page {exchange.head.path}: the answer was 404 {reason}."
    if exchange.head is not None and status == 405:
        allowed = exchange.response.get("Allow") or ""
        return f"{exchange.head.method} is not allowed there, only {allowed}: 405 {reason}."
    return f"The answer was {status} {reason}." if status >= 400 else ""


def other(last: Exchange | None, problem: str, hint: str) -> Verdict:
    """The verdict without a request that reaches the goal: the problem, else the hint."""
    if not problem and last is not None:
        problem = status_problem(last)
    return missing(problem or hint)


def _unfinished_body(exchange: Exchange) -> str:
    head = exchange.head
    if head is None or not head.has_body:
        return ""
    if head.chunked:
        return "The body is not complete: a chunk of size 0 and an empty line have to end it."
    wanted, got = head.content_length or 0, len(exchange.body)
    if got < wanted:
        return (
            f"Your Content-Length is {wanted}, and {got} bytes of the body have come. The server"
            f" waits for {wanted - got} more."
        )
    return ""


def _explained(exchange: Exchange) -> str:
    """The refusal in terms of the learner's own bytes."""
    raw = exchange.raw.lstrip(b"\r\n")
    line = exchange.line
    reason = exchange.refused
    if "LF without CR" in reason:
        return (
            "A line ends in LF (\\n) alone, but lines of HTTP end in CR LF (\\r\\n). With nc, use"
            " nc -C."
        )
    if "request line" in reason and "too long" not in reason:
        return _request_line(line)
    if reason.startswith("505"):
        version = line.rpartition(b" ")[2]
        return f"The version is {shown(version)!r}. This server speaks HTTP/1.1: write that."
    if "method has a character" in reason:
        return f"{shown(line.partition(b' ')[0])!r} is not a method: use letters only, like GET."
    if "needs a Host" in reason:
        return "Your request has no Host header. Add a line such as Host: localhost."
    if "more than one Host" in reason:
        return "Your request has two Host headers. Leave one of them out."
    if "has to start with '/'" in reason:
        return f"Your target is {exchange.target!r}. It has to begin with a slash."
    if "ended in the middle" in reason:
        return _ended_early(exchange, raw)
    if "no colon" in reason or "header name" in reason or "white space" in reason:
        return f"This header line cannot be read: {shown(_refused_line(exchange))}"
    if "too slowly" in reason or "too long to arrive" in reason:
        return "The server has waited, and gave up."
    return f"The request breaks a rule: {reason}."


def _request_line(line: bytes) -> str:
    words = line.split(b" ")
    if b"" in words:
        return f"Your request line has a space too many: {shown(line)!r}"
    if len(words) == 1:
        return (
            f"Your request line has one word only: {shown(line)!r}. It needs method, target"
            " and version."
        )
    if len(words) == 2:
        if words[1][:5].upper() == b"HTTP/":
            return "Your request line has no target. Write the path between method and version."
        return "Your request line has no version. Write HTTP/1.1 at its end, after a space."
    if len(words) > 3:
        return (
            f"Your request line has {len(words)} words, but it may have three only. A space in the"
            " target is written as %20."
        )
    if words[2].upper().startswith(b"HTTP/"):
        return f"The version is {shown(words[2])!r}. Write it as HTTP/1.1, in capital letters."
    return f"Your request line ends in {shown(words[2])!r}, which is not a version."


def _ended_early(exchange: Exchange, raw: bytes) -> str:
    if exchange.head is None:
        return "The connection ended before the empty line that ends a head."
    return _unfinished_body(exchange).replace(" The server waits for ", " Missing: ") or (
        "The connection ended before the request was complete."
    )


def _refused_line(exchange: Exchange) -> bytes:
    """The line with the byte at which the request was refused."""
    at = next((step.last for step in exchange.steps if step.error), exchange.last) - exchange.first
    start = exchange.raw.rfind(b"\n", 0, max(0, at - 2)) + 1
    end = exchange.raw.find(b"\n", start)
    return exchange.raw[start : end if end >= 0 else None].rstrip(b"\r")
