"""A slow view does not delay other views, whatever the URLs of the application are."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

import pytest

import carboy
from live_engine import eventually, served

THREADS = 4
CONFIGURATIONS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "plain": ({}, {}, {}, "example.com"),
    "trusted hosts": ({}, {"TRUSTED_HOSTS": ["example.com"]}, {}, "example.com"),
    "subdomains": (
        {"subdomain_matching": True},
        {"SERVER_NAME": "example.com"},
        {"subdomain": "a"},
        "a.example.com",
    ),
    "host matching": (
        {"host_matching": True, "static_host": "example.com"},
        {},
        {"host": "a.example.com"},
        "a.example.com",
    ),
}


@pytest.mark.parametrize("wrapped", [False, True], ids=["direct", "wsgi"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_quick_view_is_answered_while_a_slow_one_has_every_thread(
    name: str, wrapped: bool
) -> None:
    arguments, config, place, host = CONFIGURATIONS[name]
    app = carboy.Flask("keys", **arguments)
    app.config.update(config)
    released = threading.Event()
    entered: list[int] = []

    def slow(n: int) -> str:
        entered.append(n)
        assert released.wait(60)
        return "slow"

    app.add_url_rule("/slow/<int:n>", "slow", slow, **place)
    app.add_url_rule("/quick", "quick", lambda: "quick", **place)
    if wrapped:
        app.wsgi_app = app.wsgi_app  # type: ignore[method-assign]  # taken for a wrapper

    app.url_map.update()
    (rule,) = app.url_map.iter_rules("slow")
    # The slow view is known as slow and gets no trial. However long another view takes on a busy
    # machine, it does not become slow, and its leader is not deposed.
    times = {"inline_budget": 60.0, "watch_interval": 5.0}
    with served(app, threads=THREADS, **times) as live, ExitStack() as stack:
        live.engine.dispatch_times.averages[rule._key] = 100.0
        live.engine.dispatch_times.next_trial = float("inf")

        def ask(path: str, host: str = host) -> Any:
            client = stack.enter_context(live.client())
            client.request("GET", path, {"Host": host})
            return client

        held = [ask(f"/slow/{n}") for n in range(THREADS)]
        eventually(lambda: len(entered) == THREADS)
        for path, host_asked, status in [
            ("/quick", host, 200),
            ("/missing", host, 404),
            ("/quick", "elsewhere.test", None),
        ]:
            reply = ask(path, host_asked).reply()
            assert status in (None, reply.status), path
        assert not released.is_set()
        released.set()
        assert {client.reply().body for client in held} == {b"slow"}
