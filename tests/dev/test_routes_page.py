"""In development, pages for 404 and 405 list the routes."""

from __future__ import annotations

from typing import Any

import flask
import pytest
import werkzeug.routing
import werkzeug.test

import carboy
import carboy.routing
from carboy.dev.routes.page import RoutesPage
from carboy.dev.routes.refusals import refusals

FRAMEWORKS = pytest.mark.parametrize("module", [carboy, flask], ids=["carboy", "flask"])
BROWSER = {"Accept": "text/html", "Sec-Fetch-Dest": "document"}


def even(module: Any) -> Any:
    routing = carboy.routing if module is carboy else werkzeug.routing

    class Even(routing.BaseConverter):  # type: ignore[name-defined, misc]
        regex = "[0-9]+"

        def to_python(self, value: str) -> int:
            if int(value) % 2:
                raise routing.ValidationError
            return int(value)

    return Even


def shop(module: Any) -> Any:
    app = module.Flask("shop")
    app.url_map.converters["even"] = even(module)
    for rule, methods in (
        ("/", ["GET"]),
        ("/notes/<int:number>", ["GET"]),
        ("/notes/<int(min=10):number>/edit", ["GET", "POST"]),
        ("/orders", ["POST"]),
        ("/price/<float:value>/<any(euro, pound):coin>", ["GET"]),
        ("/key/<uuid:key>", ["GET"]),
        ("/docs/<path:name>", ["GET"]),
        ("/in/<string(length=2):language>", ["GET"]),
        ("/size/<int(max=20):size>", ["GET"]),
        ("/year/<int(fixed_digits=4):year>", ["GET"]),
        ("/admin/users/<int:number>", ["GET"]),
        ("/even/<even:number>", ["GET"]),
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
        ("/notes/9/edit", "/notes/<int(min=10):number>/edit", "number: 9 is less than 10"),
        ("/size/21", "/size/<int(max=20):size>", "size: 21 is greater than 20"),
        ("/year/99", "/year/<int(fixed_digits=4):year>", "year: '99' does not have 4 digits"),
        ("/in/eng", "/in/<string(length=2):language>", "language: 'eng' has 3 characters, not 2"),
        (
            "/even/3",
            "/even/<even:number>",
            "number: '3' is not accepted by the converter 'even'",
        ),
        ("/orders/", "/orders", "the path ends with a slash, and the route does not"),
        ("/users/3", "/admin/users/<int:number>", ""),
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


@FRAMEWORKS
def test_an_application_without_routes_says_so(module: Any) -> None:
    app = module.Flask("empty", static_folder=None)
    assert "The application has no routes." in asked(app, "/x").text


@FRAMEWORKS
def test_a_route_of_another_subdomain_or_host_is_named(module: Any) -> None:
    app = module.Flask("shop", subdomain_matching=True)
    app.config["SERVER_NAME"] = "shop.example"
    app.add_url_rule("/users", "users", lambda: "", subdomain="api")
    page = asked(app, "/users", Host="shop.example").text
    assert "the route is for the subdomain &#39;api&#39;" in page
    app = module.Flask("shop", host_matching=True, static_folder=None)
    app.add_url_rule("/users", "users", lambda: "", host="api.example")
    assert "the route is for the host api.example" in asked(app, "/users", Host="b.example").text


@FRAMEWORKS
def test_an_encoded_slash_is_explained(module: Any) -> None:
    client = werkzeug.test.Client(RoutesPage(app := shop(module), app))
    response = client.get("/notes/5%2F6", headers=BROWSER)
    assert "%2F in a path means a slash." in response.text


@FRAMEWORKS
def test_a_converter_that_only_works_in_its_own_map_does_not_break_the_page(module: Any) -> None:
    app = shop(module)

    class Strange(app.url_map.converters["even"]):  # type: ignore[misc]
        def __init__(self, map: Any, *args: Any) -> None:
            super().__init__(map, *args)
            assert map is app.url_map

    app.url_map.converters["strange"] = Strange
    app.add_url_rule("/strange/<strange:number>", "strange", lambda number: "")
    assert "/strange/&lt;strange:number&gt;" in asked(app, "/strange/x").text
