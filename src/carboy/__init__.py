"""Carboy: one web stack from the TCP socket to the view, with Flask's API.

    from carboy import Carboy

    app = Carboy(__name__)

    @app.get("/")
    def hello():
        return "Hello"

Each name loads from its module when it is first used, so importing the package costs nothing.
"""

from __future__ import annotations

from carboy.lazy import lazy_names

__version__ = "0.1.0"

# module: the names it defines. tools/write_stubs.py writes __init__.pyi from this table.
NAMES = {
    "carboy.app": "json",
    "carboy.app.after_response": "after_response",
    "carboy.app.app": "Carboy Flask=Carboy",
    "carboy.app.blueprint": "Blueprint",
    "carboy.app.config": "Config",
    "carboy.app.context": """
        after_this_request copy_current_request_context has_app_context has_request_context
    """,
    "carboy.app.globals": "current_app g request session",
    "carboy.app.helpers": """
        abort flash get_flashed_messages get_template_attribute make_response redirect send_file
        send_from_directory stream_with_context url_for
    """,
    "carboy.app.json": "jsonify",
    "carboy.app.signals": """
        appcontext_popped appcontext_pushed appcontext_tearing_down before_render_template
        got_request_exception message_flashed request_finished request_started
        request_tearing_down template_rendered
    """,
    "carboy.app.templating": """
        render_template render_template_string stream_template stream_template_string
    """,
    "carboy.app.wrappers": "Request Response",
    "carboy.realtime.hold": "hold",
    "carboy.realtime.publish": "channel channel_history publish subscribers",
    "carboy.realtime.event": "Event",
    "carboy.realtime.sse": "last_event_id sse",
    "carboy.realtime.stream": "stream",
    "carboy.gateway.mounts": "mount",
    "carboy.request_identity": "request_id trace_headers",
    "carboy.shared.limits": "limit",
    "carboy.shared.response_cache": "cache_response",
    "carboy.time_limits": "RequestTimeout timeout waiting_for",
    "carboy.realtime.websocket": "AsyncWebSocket ConnectionClosed WebSocket",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, NAMES)
