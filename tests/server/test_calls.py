"""The cost of one request in Python calls, from `recv` to `send`; a count, not a time."""

from __future__ import annotations

import pytest

import carboy
from calls import calls_of
from carboy.middleware.proxy_fix import ProxyFix
from running import in_a_fresh_process


def request(path: str, number: int = 0) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: browser {number}\r\n"
        f"Accept: text/html\r\nCookie: theme={number}\r\n\r\n"
    ).encode()


def hello(**config: object) -> carboy.Flask:
    app = carboy.Flask("calls")
    app.config.update(config)
    app.add_url_rule("/", "hello", lambda: "Hello")
    return app


def hooked() -> carboy.Flask:
    app = hello()
    app.before_request(lambda: None)
    app.after_request(lambda response: response)
    return app


def behind_a_proxy() -> carboy.Flask:
    app = hello()
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    return app


def with_a_session() -> carboy.Flask:
    app = hello(SECRET_KEY="k")

    def write() -> str:
        carboy.session["n"] = 1
        return "written"

    app.add_url_rule("/write", "write", write)
    return app


ONE, VARYING = 1, 3
BUDGETS = {
    "hello": (hello, "/", ONE, 16),
    "hello with trusted hosts": (lambda: hello(TRUSTED_HOSTS=["localhost"]), "/", ONE, 16),
    "one hook before and one after": (hooked, "/", ONE, 25),
    "behind ProxyFix, with a log and fields that change": (behind_a_proxy, "/", VARYING, 50),
    "not found": (hello, "/missing", ONE, 28),
    "a session is written": (with_a_session, "/write", ONE, 150),
}


# Receivers of signals that other tests have left would be called, and counted.
@pytest.mark.parametrize("name", BUDGETS)
@in_a_fresh_process
def test_a_request_keeps_within_its_budget_of_calls(name: str) -> None:
    build, path, kinds, budget = BUDGETS[name]
    requests = [request(path, number) for number in range(kinds)]
    calls = calls_of(build(), *requests, record=kinds > 1)
    assert calls, "nothing was counted"
    assert len(calls) <= budget, "\n".join(calls)
