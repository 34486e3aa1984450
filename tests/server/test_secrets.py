"""No table of the process keeps secrets of a request."""

from __future__ import annotations

import sys
from collections import deque
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from carboy import Flask, redirect, request, session
from carboy.gateway import for_application
from live_engine import served

SECRET = "s3cretS3cretS3cretS3cret"


def application() -> Flask:
    app = Flask(__name__)
    app.secret_key = "key"

    def view(token: str) -> Any:
        session["token"] = SECRET
        seen = request.cookies.get("a"), request.authorization, request.headers.get("X-Api-Key")
        assert SECRET in request.url and SECRET in request.base_url
        assert SECRET in f"{seen}{request.full_path}{dict(request.headers)}"
        response = redirect(f"/reset/{SECRET}?token={SECRET}")
        response.headers["X-Auth-Token"] = SECRET
        response.headers["Link"] = f"</{SECRET}>"
        return response

    app.add_url_rule("/reset/<token>", view_func=view, methods=["GET", "POST"])
    return app


def kept(value: object, depth: int = 4) -> bool:
    """Whether this table contains the secret."""
    if isinstance(value, str):
        return SECRET in value
    if isinstance(value, bytes | bytearray):
        return SECRET.encode() in value
    if depth and isinstance(value, dict):
        return any(kept(k, depth - 1) or kept(v, depth - 1) for k, v in list(value.items()))
    if depth and isinstance(value, list | tuple | set | frozenset | deque):
        return any(kept(item, depth - 1) for item in list(value))
    return False


@pytest.mark.parametrize("lane", ["direct", "WSGI"])
def test_no_secret_of_a_request_is_kept_after_its_connection(lane: str) -> None:
    app = application()
    if lane == "WSGI":
        app.wsgi_app = partial(app.wsgi_app)  # type: ignore[method-assign]
    gateway = for_application(app)
    urlsplit.cache_clear()  # type: ignore[attr-defined]
    fields = {
        "Cookie": f"a={SECRET}",
        "Authorization": f"Bearer {SECRET}",
        "X-Api-Key": SECRET,
        "Referer": f"http://example.test/?token={SECRET}",
    }
    with served(app, gateway=gateway) as live:
        with live.client() as client:
            for path in (f"/reset/{SECRET}", f"/reset/{SECRET}?token={SECRET}") * 3:
                for method in ("GET", "POST"):
                    client.request(method, path, fields)
                    assert client.reply().status == 302
        modules = [m for name, m in sys.modules.items() if name.split(".")[0] == "carboy"]
        tables = [
            (module.__name__, name)
            for module in modules
            for name, value in list(vars(module).items())
            if kept(value)
        ]
        assert tables == []
        assert not kept(list(vars(gateway).values()))
        for inner in vars(gateway).values():
            assert not kept(getattr(inner, "__dict__", {}))
        assert not kept(live.engine.dispatch_times.averages)
    assert urlsplit.cache_info().currsize == 0  # type: ignore[attr-defined]
