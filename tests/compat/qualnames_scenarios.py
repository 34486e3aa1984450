"""The names of Flask's classes and functions as a program sees them. Run by test_qualnames.py."""

from __future__ import annotations

import json
import sys
from typing import Any

if sys.argv[1] == "carboy":
    if "late" in sys.argv:
        import carboy
        import carboy.http

        carboy.Flask, carboy.http.MultiDict  # noqa: B018 — loaded before the names
    import carboy.compat

    carboy.compat.install()

import importlib
import inspect

import flask
import flask.cli
import flask.views
import werkzeug.exceptions
import werkzeug.routing
from surface_modules import MODULES

seen: dict[str, Any] = {}


def name(what: str, thing: Any) -> None:
    try:
        seen[what] = [thing.__module__, thing.__name__, thing.__qualname__]
    except (AttributeError, RuntimeError):  # a value, a proxy
        pass


def look_at_modules() -> None:
    for path in MODULES.split():
        module = importlib.import_module(path)
        for each in dir(module):
            thing = getattr(module, each)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                name(f"{path}.{each}", thing)


def look_at_application(app: flask.Flask) -> None:
    for endpoint, view in app.view_functions.items():
        name(f"view {endpoint}", view)
    hooks = ("before_request_funcs", "after_request_funcs", "teardown_request_funcs")
    for table in ("template_context_processors", *hooks):
        for number, function in enumerate(getattr(app, table).get(None, ())):
            name(f"{table} {number}", function)
    for each, thing in app.jinja_env.globals.items():
        name(f"template global {each}", thing)
    for each, command in flask.cli.cli.commands.items():
        name(f"command {each}", command.callback)
    for each in ("send_static_file", "handle_exception", "make_response", "wsgi_app"):
        name(f"method {each}", getattr(app, each))
    for each in ("config", "session_interface", "json", "url_map", "jinja_env", "aborter", "cli"):
        name(f"type of {each}", type(getattr(app, each)))


def look_at_a_request(app: flask.Flask) -> None:
    with app.test_request_context("/?a=1"):
        request = flask.request
        for each in ("args", "form", "files", "headers", "cookies", "accept_mimetypes"):
            name(f"request.{each}", type(getattr(request, each)))
        for each in ("cache_control", "if_match", "if_range", "user_agent", "values"):
            name(f"request.{each}", type(getattr(request, each)))
        name("request", type(request._get_current_object()))  # type: ignore[attr-defined]
        name("session", type(flask.session._get_current_object()))  # type: ignore[attr-defined]
        name("g", type(flask.g._get_current_object()))  # type: ignore[attr-defined]
        for each in ("cache_control", "vary", "allow", "www_authenticate", "headers", "stream"):
            name(f"response.{each}", type(getattr(flask.make_response(""), each)))
    name("test response", type(app.test_client().get("/")))
    try:
        app.url_map.bind("h").match("/nowhere")
    except werkzeug.exceptions.NotFound as error:
        seen["repr of an error's class"] = repr(type(error))


def main() -> None:
    app = flask.Flask("x", static_folder="/tmp")
    app.register_blueprint(flask.Blueprint("b", "x", static_folder="/tmp", static_url_path="/b"))

    class View(flask.views.View):
        pass

    class Once(View):
        init_every_request = False

    class Methods(flask.views.MethodView):
        def get(self) -> str:
            return ""

    for kind in (View, Once, Methods):
        app.add_url_rule(f"/{kind.__name__}", view_func=kind.as_view(kind.__name__))
    look_at_modules()
    look_at_application(app)
    look_at_a_request(app)
    print(json.dumps(seen))


main()
