"""Exercise: a cookie that goes to the client and back."""

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

KNOWN = b"You are "


def _set_cookie(each: Exchange) -> str:
    return each.response.get("Set-Cookie") or ""


def _issued(found: Sequence[Exchange]) -> list[str]:
    """The cookies that the server has set, as `name=value`."""
    return [_set_cookie(each).partition(";")[0] for each in found if _set_cookie(each)]


def _sent(each: Exchange) -> list[str]:
    return [cookie.strip() for cookie in (each.get("Cookie") or "").split(";") if cookie.strip()]


def _is_known(each: Exchange) -> bool:
    return each.response.body.startswith(KNOWN)


def _got(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, lambda each: bool(_set_cookie(each))):
        name, _, value = _set_cookie(each).partition(";")[0].partition("=")
        return reached(f"The server has set the cookie {name}, whose value is {value}")
    last, problem = attempt(found, "/login")
    return other(last, problem, "The response has no Set-Cookie header.")


def _returned(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if each := first(found, _is_known):
        return reached(f"The server knows you: {each.response.body.decode('utf-8', 'replace')}")
    last, problem = attempt(found, "/me")
    issued = _issued(found)
    if last is not None and not problem:
        if not issued:
            return missing("Send the request for /login first, to get a cookie.")
        if not _sent(last):
            return missing(f"Your request has no cookie. Add the header Cookie: {issued[-1]}")
        if not set(_sent(last)) & set(issued):
            return missing(
                f"Your cookie is {'; '.join(_sent(last))}. The one of the server is {issued[-1]}"
            )
    return other(last, problem, "")


def _differs_by_one(one: str, two: str) -> bool:
    return len(one) == len(two) and sum(a != b for a, b in zip(one, two, strict=True)) == 1


def _changed(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    issued = _issued(found)
    names = {cookie.partition("=")[0] for cookie in issued}

    def is_changed(each: Exchange) -> bool:
        sent = [cookie for cookie in _sent(each) if cookie.partition("=")[0] in names]
        right = each.head is not None and each.head.path == "/me" and each.response.status == 200
        return right and any(_differs_by_one(one, two) for one in sent for two in issued)

    if first(found, lambda each: is_changed(each) and not _is_known(each)):
        return reached(
            "The signature at the end of the cookie does not match its changed value, so the"
            " server ignores the cookie."
        )
    last, problem = attempt(found, "/me")
    if last is not None and not problem:
        if is_changed(last):
            return missing(
                "The server still knows you: the last character has bits that do not count. Change"
                " another one."
            )
        if _is_known(last):
            return missing("Your cookie is unchanged. Replace one of the characters in its value.")
        return missing("Send the session cookie, with one character replaced.")
    return other(last, problem, "")


def _attribute(seen: Sequence[Seen]) -> Answer | None:
    header = next(filter(None, map(_set_cookie, all_of(seen))), "")
    names = [each.strip() for each in header.split(";")[1:]]
    if found := next((name for name in names if name.lower() == "httponly"), None):
        return found, "Other attributes say for which paths and for how long it is valid."
    return None


EXERCISE = Exercise(
    key="session",
    title="How a server recognizes you: a cookie",
    text=(
        "Each request is on its own: HTTP has no memory. A server that wants to recognize a client"
        " sends a cookie in the header Set-Cookie, and the client sends it back in the header"
        " Cookie with each further request (RFC 6265).",
        "The session of Flask and Carboy is such a cookie. Its value can be read, because it is"
        " only encoded in base64. But it is signed with the secret key of the application, so that"
        " a client cannot change it. The parts between the dots are the value, the time and the"
        " signature.",
    ),
    goals=(
        Goal(
            "Send a request for /login?name= with your name, and look at the cookie in the answer.",
            _got,
            "GET /login?name=Ada HTTP/1.1\nHost: {host}\n\n",
        ),
        Goal(
            "Send a request for /me with this cookie: Cookie: session= and its value.",
            _returned,
            "GET /me HTTP/1.1\nHost: {host}\nCookie: {cookie}\n\n",
        ),
        Goal(
            "Send the request for /me again, with one character of the cookie's value replaced.",
            _changed,
            "GET /me HTTP/1.1\nHost: {host}\nCookie: {changed}\n\n",
        ),
    ),
    questions=(
        Question(
            "Which attribute in your Set-Cookie header keeps scripts in a page from reading the"
            " cookie?",
            _attribute,
        ),
    ),
    code=(
        Code(
            "http/request/fields.py", "cookies", "parse_cookie(",
            "makes request.cookies of the Cookie header.",
        ),
        Code(
            "app/sessions.py", "SecureCookieSessionInterface.open_session", ".loads(",
            "checks the signature and opens the session.",
        ),
    ),
    tools=(
        "curl -i 'http://{address}/login?name=Ada'",
        "curl -H 'Cookie: session=…' http://{address}/me",
    ),
    learned="Set-Cookie gives a cookie, Cookie returns it. A signature shows changes; it hides"
    " nothing.",
)  # fmt: skip
