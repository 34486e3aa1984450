"""Exercise: the parts of a response, and responses without a body."""

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

PATH = "/page"


def _is_page(each: Exchange, method: str, status: int) -> bool:
    return (
        each.head is not None
        and each.head.path == PATH
        and each.head.method == method
        and each.response.status == status
        and each.response.complete
    )


def _is_whole(each: Exchange) -> bool:
    return _is_page(each, "GET", 200)


def _is_head(each: Exchange) -> bool:
    return _is_page(each, "HEAD", 200)


def _is_unchanged(each: Exchange) -> bool:
    return _is_page(each, "GET", 304) and each.get("If-None-Match") is not None


def _whole(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_whole):
        response = each.response
        return reached(
            f"The response has a status line (HTTP/1.1 {response.status} {response.reason}),"
            f" {len(response.fields)} headers, an empty line, and a body of {len(response.body)}"
            " bytes."
        )
    return _else(found, "GET", "")


def _headless(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_head):
        return reached(
            f"The response announces Content-Length: {each.response.get('Content-Length')}, and its"
            f" body has {len(each.response.body)} bytes."
        )
    return _else(found, "HEAD", "")


def _unchanged(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if first(found, _is_unchanged):
        return reached("The answer is 304 Not Modified, without a body: your copy is current.")
    tag = next((each.response.get("ETag") for each in found if each.response.get("ETag")), None)
    last, _ = attempt(found, PATH)
    if last is not None and last.head is not None and last.head.path == PATH and tag:
        given = last.get("If-None-Match")
        if given is None:
            return missing(f"Add the header If-None-Match: {tag}, which is the ETag of the page.")
        if last.response.status == 200:
            return missing(f"If-None-Match is {given}, but the ETag of the page is {tag}.")
    return _else(found, "GET", "Send GET for /page first, and look at its ETag.")


def _else(found: Sequence[Exchange], method: str, hint: str) -> Verdict:
    last, problem = attempt(found, PATH)
    if last is not None and last.head is not None and not problem and last.head.method != method:
        return missing(f"Your method is {last.head.method}. This goal needs {method}.")
    return other(last, problem, hint)


def _announced(seen: Sequence[Seen]) -> Answer | None:
    each = first(all_of(seen), _is_head)
    length = each.response.get("Content-Length") if each else None
    if each is None or length is None:
        return None
    return length, "HEAD gets the headers that GET would get, and never a body."


EXERCISE = Exercise(
    key="response",
    title="What the view returns, and what a response consists of",
    text=(
        "A view gets the request and returns text, bytes, or a Response. The response on the wire"
        " has a status line (version, number, reason), headers, an empty line and a body, which"
        " has a length or chunks like that of a request.",
        "Some responses never have a body: those to HEAD, and those with the status 204 or 304"
        " (RFC 9112, section 6.3). With If-None-Match, a client asks for a page only if it is no"
        " longer the one with this ETag; else the answer is 304.",
    ),
    goals=(
        Goal(
            "Send GET for /page.",
            _whole,
            "GET /page HTTP/1.1\nHost: {host}\n\n",
        ),
        Goal(
            "Send HEAD for /page.",
            _headless,
            "HEAD /page HTTP/1.1\nHost: {host}\n\n",
        ),
        Goal(
            "Send GET for /page with the header If-None-Match and the ETag of the page, so that the"
            " answer is 304.",
            _unchanged,
            "GET /page HTTP/1.1\nHost: {host}\nIf-None-Match: {etag}\n\n",
        ),
    ),
    questions=(
        Question("Which Content-Length did the response to HEAD announce?", _announced),
    ),
    code=(
        Code(
            "protocol/machine.py", "Machine._begin_response", "response.BODILESS",
            "decides that a response has no body.",
        ),
        Code(
            "protocol/response.py", "framing_line", "Content-Length: %d",
            "writes the length of the body.",
        ),
    ),
    tools=("curl -i http://{address}/page", "curl -I http://{address}/page"),
    learned="Status line, headers, empty line, body. HEAD, 204 and 304 have no body.",
)  # fmt: skip
