"""In development, pages for 404 and 405 list the routes."""

from __future__ import annotations

from typing import Any

import flask
import pytest
import werkzeug.test

import carboy
from carboy.cli.dev.refusals import refusals
from carboy.cli.dev.routes_page import RoutesPage

FRAMEWORKS = pytest.mark.parametrize("module", [carboy, flask], ids=["carboy", "flask"])
BROWSER = {"Accept": "text/html", "Sec-Fetch-Dest": "document"}


def shop(module: Any) -> Any:
    app = module.Flask("shop")
    for rule, methods in (
        ("/", ["GET"]),
        ("/notes/<int:number>", ["GET"]),
        ("/notes/<int(min=10):number>/edit", ["GET", "POST"]),
        ("/orders", ["POST"]),
        ("/price/<float:value>/<any(euro, pound):coin>", ["GET"]),
        ("/key/<uuid:key>", ["GET"]),
        ("/docs/<path:name>", ["GET"]),
    ):
        app.add_url_rule(rule, rule, lambda **values: module.abort(404), methods=methods)
    return app


def asked(app: Any, path: str, method: str = "GET", **headers: str) -> Any:
    client = werkzeug.test.Client(RoutesPage(app, app))
    return client.open(path, method=method, headers=BROWSER | headers)


@FRAMEWORKS
@pytest.mark.parametrize(
    ("path", "rule", "why"),
    [
        ("/notes/abc", "/notes/<int:number>", "number: 'abc' is not an integer"),
        ("/notes/-1/", "/notes/<int:number>", "number: '-1' is not an integer"),
        ("/notes/9/edit", "/notes/<int(min=10):number>/edit", "number: "),
        (
            "/price/3/yen",
            "/price/<float:value>/<any(euro, pound):coin>",
            "value: '3' is not a decimal number; coin: 'yen' is not one of euro, pound",
        ),
        ("/key/1-2", "/key/<uuid:key>", "key: '1-2' is not a UUID"),
        ("/nots/3", "/notes/<int:number>", ""),
        ("/order", "/orders", ""),
    ],
)
def test_the_nearest_route_is_first_with_the_reason_why_it_is_refused(
    module: Any, path: str, rule: str, why: str
) -> None:
    first = refusals(shop(module).url_map, path)[0]
    assert first.rule.rule == rule
    assert first.why.startswith(why)
    assert bool(first.why) == bool(why)


@FRAMEWORKS
def test_a_404_lists_the_routes(module: Any) -> None:
    response = asked(shop(module), "/notes/abc?x=<b>")
    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert "number: &#39;abc&#39; is not an integer" in response.text
    assert response.text.index("/notes/&lt;int:number&gt;") < response.text.index("/orders")
    assert '<a href="/">/</a>' in response.text
    assert "<b>" not in response.text
    assert response.content_length == len(response.data)


@FRAMEWORKS
def test_a_405_lists_the_methods(module: Any) -> None:
    response = asked(shop(module), "/orders")
    assert response.status_code == 405
    assert "The route of this path allows OPTIONS, POST." in response.text
    assert set(response.allow) == {"POST", "OPTIONS"}


@FRAMEWORKS
def test_a_terminal_gets_text(module: Any) -> None:
    app = shop(module)
    client = werkzeug.test.Client(RoutesPage(app, app))
    response = client.get("/notes/abc", headers={"User-Agent": "curl/8", "Accept": "*/*"})
    assert (response.status_code, response.mimetype) == (404, "text/plain")
    assert "/notes/<int:number>  (/notes/<int:number>)" in response.text
    assert "number: 'abc' is not an integer" in response.text


@FRAMEWORKS
def test_pages_of_the_application_are_not_changed(module: Any) -> None:
    app = shop(module)
    app.add_url_rule("/late", "late", lambda: (part for part in ("a", "b")))
    plain = werkzeug.test.Client(app).get("/notes/3")
    assert asked(app, "/notes/3").data == plain.data  # a 404 of the view
    assert asked(app, "/late").text == "ab"
    scripts = {"Sec-Fetch-Dest": "empty", "Accept": "*/*"}
    assert b"Endpoint" not in asked(app, "/none", **scripts).data
    own = shop(module)
    own.register_error_handler(404, lambda error: ("mine", 404))
    assert asked(own, "/none").text == "mine"


def test_an_application_that_starts_its_response_late_is_not_changed() -> None:
    def late(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-Mine", "1")])
        yield b"late"

    client = werkzeug.test.Client(RoutesPage(late, shop(carboy)))
    response = client.get("/none", headers=BROWSER)
    assert (response.text, response.headers["X-Mine"]) == ("late", "1")
