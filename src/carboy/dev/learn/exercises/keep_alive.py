"""Exercise: several requests on one connection."""

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
from carboy.dev.learn.problems import attempt, other, shown


def _pair(seen: Sequence[Seen]) -> tuple[Exchange, Exchange] | None:
    """The first two requests of a connection that were answered."""
    for one in seen:
        answered = [each for each in all_of([one]) if each.head and each.response.complete]
        if len(answered) > 1:
            return answered[0], answered[1]
    return None


def _two(seen: Sequence[Seen]) -> Verdict:
    if pair := _pair(seen):
        return reached(
            f"Connection {pair[0].connection} had two requests: {shown(pair[0].line)} and"
            f" {shown(pair[1].line)}."
        )
    last, problem = attempt(all_of(seen))
    if last is not None and not problem:
        if last.head is not None and not last.head.keep_alive:
            return missing("Your request asked the server to close. Send the second one before.")
        if not last.open:
            return missing("The connection was closed after one request. Send two on the same one.")
        return missing("One request so far. Now send another one on the same connection.")
    return other(last, problem, "")


def _closes(each: Exchange) -> bool:
    wants = "close" in (each.get("Connection") or "").lower()
    return wants and each.head is not None and each.response.complete and not each.open


def _closed(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _closes):
        return reached(
            f"The response has the header Connection: {each.response.get('Connection')}, and the"
            f" server closed connection {each.connection}."
        )
    last, problem = attempt(found)
    if last is not None and last.head is not None and not problem:
        if last.head.minor == 0:
            return missing("HTTP/1.0 closes by itself. Use HTTP/1.1 with Connection: close.")
        return missing(
            "Your request has no Connection: close, so the server waits for another request."
            if last.get("Connection") is None
            else f"Your Connection header is {last.get('Connection')}. This goal needs close."
        )
    return other(last, problem, "")


def _second_begins(seen: Sequence[Seen]) -> Answer | None:
    pair = _pair(seen)
    if pair is None:
        return None
    return str(pair[1].first), (
        f"The first request is the bytes {pair[0].first} to {pair[0].last - 1}."
    )


EXERCISE = Exercise(
    key="keep-alive",
    title="What keep-alive is",
    text=(
        "Opening a connection takes time: packets go to the server and back before the first byte"
        " of a request. So in HTTP/1.1 a connection stays open after a response, and the client"
        " may send another request on it (RFC 9112, section 9.3).",
        "A client that needs nothing more sends Connection: close. The server then answers with"
        " the same header, and closes the connection after its response.",
    ),
    goals=(
        Goal(
            "Send two requests on one connection.",
            _two,
            "GET /hello HTTP/1.1\nHost: {host}\n\nGET /headers HTTP/1.1\nHost: {host}\n\n",
        ),
        Goal(
            "Send a request with Connection: close.",
            _closed,
            "GET /hello HTTP/1.1\nHost: {host}\nConnection: close\n\n",
        ),
    ),
    questions=(
        Question(
            "At which byte of the connection did its second request begin? The first byte has"
            " number 0.",
            _second_begins,
        ),
    ),
    code=(
        Code(
            "protocol/head.py", "apply_framing", "head.keep_alive =",
            "decides what the client wants.",
        ),
        Code(
            "protocol/machine.py", "Machine.whole_response", "self.reading = HEAD",
            "makes the machine ready for the next request.",
        ),
    ),
    tools=(
        "curl http://{address}/hello http://{address}/headers",
        "curl -H 'Connection: close' http://{address}/hello",
    ),
    learned="A connection outlives its requests. Connection: close ends it after a response.",
)  # fmt: skip
