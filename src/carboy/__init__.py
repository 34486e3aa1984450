"""Carboy: one web stack from the TCP socket to the view, with Flask's API.

    from carboy import Carboy

    app = Carboy(__name__)

    @app.get("/")
    def hello():
        return "Hello"

Names load when they are first asked for, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carboy.app import json as json
    from carboy.app.app import Carboy as Carboy
    from carboy.app.app import Carboy as Flask
    from carboy.app.blueprint import Blueprint as Blueprint
    from carboy.app.config import Config as Config
    from carboy.app.context import after_this_request as after_this_request
    from carboy.app.context import copy_current_request_context as copy_current_request_context
    from carboy.app.context import has_app_context as has_app_context
    from carboy.app.context import has_request_context as has_request_context
    from carboy.app.globals import current_app as current_app
    from carboy.app.globals import g as g
    from carboy.app.globals import request as request
    from carboy.app.globals import session as session
    from carboy.app.helpers import abort as abort
    from carboy.app.helpers import flash as flash
    from carboy.app.helpers import get_flashed_messages as get_flashed_messages
    from carboy.app.helpers import get_template_attribute as get_template_attribute
    from carboy.app.helpers import make_response as make_response
    from carboy.app.helpers import redirect as redirect
    from carboy.app.helpers import send_file as send_file
    from carboy.app.helpers import send_from_directory as send_from_directory
    from carboy.app.helpers import stream_with_context as stream_with_context
    from carboy.app.helpers import url_for as url_for
    from carboy.app.json import jsonify as jsonify
    from carboy.app.signals import appcontext_popped as appcontext_popped
    from carboy.app.signals import appcontext_pushed as appcontext_pushed
    from carboy.app.signals import appcontext_tearing_down as appcontext_tearing_down
    from carboy.app.signals import before_render_template as before_render_template
    from carboy.app.signals import got_request_exception as got_request_exception
    from carboy.app.signals import message_flashed as message_flashed
    from carboy.app.signals import request_finished as request_finished
    from carboy.app.signals import request_started as request_started
    from carboy.app.signals import request_tearing_down as request_tearing_down
    from carboy.app.signals import template_rendered as template_rendered
    from carboy.app.templating import render_template as render_template
    from carboy.app.templating import render_template_string as render_template_string
    from carboy.app.templating import stream_template as stream_template
    from carboy.app.templating import stream_template_string as stream_template_string
    from carboy.app.wrappers import Request as Request
    from carboy.app.wrappers import Response as Response

__version__ = "0.1.0"

# module of carboy.app: the names it gives
_NAMES = {
    "app": "Carboy",
    "blueprint": "Blueprint",
    "config": "Config",
    "context": (
        "after_this_request copy_current_request_context has_app_context has_request_context"
    ),
    "globals": "current_app g request session",
    "helpers": (
        "abort flash get_flashed_messages get_template_attribute make_response redirect send_file"
        " send_from_directory stream_with_context url_for"
    ),
    "json": "jsonify",
    "signals": (
        "appcontext_popped appcontext_pushed appcontext_tearing_down before_render_template"
        " got_request_exception message_flashed request_finished request_started"
        " request_tearing_down template_rendered"
    ),
    "templating": "render_template render_template_string stream_template stream_template_string",
    "wrappers": "Request Response",
}
_WHERE = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Blueprint",
    "Carboy",
    "Config",
    "Flask",
    "Request",
    "Response",
    "abort",
    "after_this_request",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "copy_current_request_context",
    "current_app",
    "flash",
    "g",
    "get_flashed_messages",
    "get_template_attribute",
    "got_request_exception",
    "has_app_context",
    "has_request_context",
    "json",
    "jsonify",
    "make_response",
    "message_flashed",
    "redirect",
    "render_template",
    "render_template_string",
    "request",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "send_file",
    "send_from_directory",
    "session",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
    "template_rendered",
    "url_for",
]


def __getattr__(name: str) -> Any:
    if name == "Flask":
        value: Any = __getattr__("Carboy")
    elif name == "json":
        value = import_module("carboy.app.json")
    elif name in _WHERE:
        value = getattr(import_module(f"carboy.app.{_WHERE[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
