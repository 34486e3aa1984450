"""Exercise: why a body has a length, and the two ways to give it."""

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

CHUNK = "Content of a chunk"


def _is_counted(each: Exchange) -> bool:
    head = each.head
    return head is not None and bool(head.content_length) and _is_echoed(each)


def _is_chunked(each: Exchange) -> bool:
    return each.head is not None and each.head.chunked and _is_echoed(each) and _chunks(each) > 1


def _is_echoed(each: Exchange) -> bool:
    return each.head is not None and each.head.path == "/echo" and each.response.status == 200


def _chunks(each: Exchange) -> int:
    return sum(step.title == CHUNK for step in each.steps)


def _counted(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_counted):
        begin, size = each.body_first - each.first, len(each.body)
        return reached(
            f"Content-Length: {size}. The body is the bytes {begin} to {begin + size - 1} of your"
            " request."
        )
    last, problem = attempt(found, "/echo")
    if last is not None and last.head is not None and not problem:
        if last.head.chunked:
            return missing("Your body came in chunks. Give it a Content-Length for this goal.")
        if last.head.method == "POST" and not last.head.has_body:
            return missing(
                "Your request has no Content-Length, so it has no body: the server does not read"
                " on after the empty line."
                if last.get("Content-Length") is None
                else "Your Content-Length is 0. Send at least one byte."
            )
    return other(last, problem, "")


def _chunked(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_chunked):
        return reached(
            f"{_chunks(each)} chunks have become one body of {len(each.body)} bytes. The client did"
            " not have to know the length before."
        )
    last, problem = attempt(found, "/echo")
    if last is not None and last.head is not None and not problem and last.head.method == "POST":
        if not last.head.chunked:
            return missing("Your request has no Transfer-Encoding: chunked.")
        return missing(f"Your body has {_chunks(last)} chunk. Send two or more.")
    return other(last, problem, "")


def _body_begins(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_counted)
    if each is None:
        return None
    begin = each.body_first - each.first
    return str(begin), f"The head is the bytes 0 to {begin - 1}, with the empty line at its end."


def _size_of_chunks(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_chunked)
    if each is None:
        return None
    size = each.last - each.body_first
    return str(size), f"The content has {len(each.body)} of them, the rest is framing."


EXERCISE = Exercise(
    key="body",
    title="Why a body has a length",
    text=(
        "A connection is a stream of bytes without gaps. After the empty line, nothing in the"
        " stream shows where a body ends and where the next request begins. So the head has to say"
        " it (RFC 9112, section 6).",
        "Content-Length: 5 says that the body is the next five bytes. If the client does not know"
        " the length yet, it writes Transfer-Encoding: chunked and sends pieces: the size of a"
        " piece as a hexadecimal number on a line, its bytes, CR LF. A piece of size 0 and an empty"
        " line are the end.",
    ),
    goals=(
        Goal(
            "Send a POST request for /echo whose body has a Content-Length.",
            _counted,
            "POST /echo HTTP/1.1\nHost: {host}\nContent-Length: 5\n\nhello\\c\n",
        ),
        Goal(
            "Send a POST request for /echo with Transfer-Encoding: chunked and two chunks or more.",
            _chunked,
            "POST /echo HTTP/1.1\nHost: {host}\nTransfer-Encoding: chunked\n\n"
            "5\nhello\n6\n world\n0\n\n",
        ),
    ),
    questions=(
        Question(
            "At which byte of the request with Content-Length does the body begin? The first byte"
            " has number 0.",
            _body_begins,
        ),
        Question(
            "How many bytes did the chunked request have after its head, with the sizes and the"
            " line ends?",
            _size_of_chunks,
        ),
    ),
    code=(
        Code(
            "protocol/machine.py", "Machine._next_counted", "self._buffer.take(self._remaining)",
            "takes as many bytes as are left of the Content-Length.",
        ),
        Code(
            "protocol/chunked.py", "ChunkReader._size", "int(",
            "reads the size of a chunk.",
        ),
    ),
    tools=(
        "curl -d hello http://{address}/echo",
        "(echo one; sleep 1; echo two) | curl -X POST -T - http://{address}/echo",
    ),
    learned="Content-Length counts the bytes of a body. Chunks count them piece by piece.",
)  # fmt: skip
