"""Written by tools/write_stubs.py from the table NAMES in __init__.py."""

from carboy.app import json
from carboy.app.after_response import after_response
from carboy.app.app import Carboy
from carboy.app.app import Carboy as Flask
from carboy.app.blueprint import Blueprint
from carboy.app.config import Config
from carboy.app.context import after_this_request
from carboy.app.context import copy_current_request_context
from carboy.app.context import has_app_context
from carboy.app.context import has_request_context
from carboy.app.globals import g
from carboy.app.globals import request
from carboy.app.globals import session
from carboy.app.helpers import abort
from carboy.app.helpers import flash
from carboy.app.helpers import get_flashed_messages
from carboy.app.helpers import get_template_attribute
from carboy.app.helpers import make_response
from carboy.app.helpers import redirect
from carboy.app.helpers import send_file
from carboy.app.helpers import send_from_directory
from carboy.app.helpers import stream_with_context
from carboy.app.helpers import url_for
from carboy.app.signals import appcontext_popped
from carboy.app.signals import appcontext_pushed
from carboy.app.signals import appcontext_tearing_down
from carboy.app.signals import before_render_template
from carboy.app.signals import got_request_exception
from carboy.app.signals import message_flashed
from carboy.app.signals import request_finished
from carboy.app.signals import request_started
from carboy.app.signals import request_tearing_down
from carboy.app.signals import template_rendered
from carboy.app.templating import render_template
from carboy.app.templating import render_template_string
from carboy.app.templating import stream_template
from carboy.app.templating import stream_template_string
from carboy.app.wrappers import Request
from carboy.app.wrappers import Response
from carboy.gateway.mounts import mount
from carboy.realtime.event import Event
from carboy.realtime.hold import hold
from carboy.realtime.publish import channel
from carboy.realtime.publish import channel_history
from carboy.realtime.publish import publish
from carboy.realtime.publish import subscribers
from carboy.realtime.sse import last_event_id
from carboy.realtime.sse import sse
from carboy.realtime.stream import stream
from carboy.realtime.websocket import AsyncWebSocket
from carboy.realtime.websocket import ConnectionClosed
from carboy.realtime.websocket import WebSocket
from carboy.request_identity import request_id
from carboy.request_identity import trace_headers
from carboy.shared.limits import limit
from carboy.shared.response_cache import cache_response
from carboy.time_limits import RequestTimeout
from carboy.time_limits import timeout
from carboy.time_limits import waiting_for

current_app: Carboy
def jsonify(*args: object, **kwargs: object) -> Response: ...

__version__: str

__all__ = [
    "AsyncWebSocket",
    "Blueprint",
    "Carboy",
    "Config",
    "ConnectionClosed",
    "Event",
    "Flask",
    "Request",
    "RequestTimeout",
    "Response",
    "WebSocket",
    "abort",
    "after_response",
    "after_this_request",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "cache_response",
    "channel",
    "channel_history",
    "copy_current_request_context",
    "current_app",
    "flash",
    "g",
    "get_flashed_messages",
    "get_template_attribute",
    "got_request_exception",
    "has_app_context",
    "has_request_context",
    "hold",
    "json",
    "jsonify",
    "last_event_id",
    "limit",
    "make_response",
    "message_flashed",
    "mount",
    "publish",
    "redirect",
    "render_template",
    "render_template_string",
    "request",
    "request_finished",
    "request_id",
    "request_started",
    "request_tearing_down",
    "send_file",
    "send_from_directory",
    "session",
    "sse",
    "stream",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
    "subscribers",
    "template_rendered",
    "timeout",
    "trace_headers",
    "url_for",
    "waiting_for",
]
