"""Names the calls that are steps of a request: parsing the head, finding the rule, the view, …"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from carboy.dev.explain import places
from carboy.dev.explain.places import Place
from carboy.dev.explain.tree import Node, Track

# (start of the module, qualified name, title); the first call of each is the step
RULES = (
    ("socket", "socket.accept", "The connection is accepted"),
    ("", "socket.recv", "Bytes are read from the socket"),
    ("carboy.protocol", "Machine.receive", "The bytes are parsed as a request head"),
    ("carboy.server", "BodyReader.take_whole", "The request body is complete"),
    ("carboy.server", "BodyReader.end", "The request body is complete"),
    ("carboy.gateway", "DirectGateway.prepare", "The dispatch key is determined"),
    ("carboy.gateway", "PathShapes.prepare", "The dispatch key is determined"),
    ("carboy.gateway", "MountsGateway.prepare", "The mounted application is found"),
    ("carboy.gateway", "Mounts.__call__", "The mounted application is found"),
    ("carboy.gateway", "AsgiGateway.handle", "The request gets a channel, for the event loop"),
    ("carboy.gateway", "Request.run", "The event loop calls the application"),
    ("carboy.gateway", "http_scope", "The ASGI scope is built"),
    ("carboy.gateway", "Request.receive", "The application receives a message"),
    ("carboy.gateway", "Request.send", "The application sends a message"),
    ("carboy.protocol", "read_handshake", "The WebSocket handshake is checked"),
    ("carboy.gateway", "WebSocketCall.run", "The event loop calls the application"),
    ("carboy.gateway", "websocket_scope", "The ASGI scope is built"),
    ("carboy.gateway", "WebSocketCall.receive", "The application receives a message"),
    ("carboy.gateway", "WebSocketCall.send", "The application sends a message"),
    ("carboy.realtime", "HandlerCall._run", "A WebSocket thread calls the handler"),
    ("carboy.realtime", "HandlerCall._await", "The event loop calls the handler"),
    ("carboy.realtime", "HandlerCall._log", "The exception of the handler is logged"),
    ("carboy.protocol", "accept_key", "The key of the handshake is answered"),
    ("carboy.protocol", "Machine.upgrade", "The response 101 becomes bytes"),
    ("carboy.protocol", "WebSocketMachine.receive", "The frames of the client are read"),
    ("carboy.realtime", "WebSocket.receive", "The handler receives a message"),
    ("carboy.realtime", "AsyncWebSocket.receive", "The handler receives a message"),
    ("carboy.realtime", "WebSocket.send", "The handler sends a message"),
    ("carboy.realtime", "AsyncWebSocket.send", "The handler sends a message"),
    ("carboy.protocol", "WebSocketMachine.text", "The message becomes a frame"),
    ("carboy.protocol", "WebSocketMachine.binary", "The message becomes a frame"),
    ("carboy.protocol", "WebSocketMachine.close", "The close frame becomes bytes"),
    (
        "carboy.gateway",
        "WebSocketTransport.fail",
        "The application failed. The WebSocket is closed",
    ),
    ("fastapi", "FastAPI.__call__", "FastAPI takes over"),
    ("starlette", "Starlette.__call__", "Starlette takes over"),
    ("starlette.routing", "Route.matches", "The rule is matched"),
    ("django", "ASGIHandler.__call__", "Django takes over"),
    ("litestar", "Litestar.__call__", "Litestar takes over"),
    ("quart", "Quart.__call__", "Quart takes over"),
    ("carboy.app.cycle", "handle", "The application is called, on the direct lane"),
    ("carboy.gateway", "WsgiGateway.handle", "The application is called, through WSGI"),
    ("carboy.server", "ServerExchange.environ", "The WSGI environ is built"),
    ("carboy.http.request.exchange", "headers", "request.headers is built from the head"),
    ("carboy.http.request.environ", "headers", "request.headers is built from the environ"),
    ("werkzeug", "EnvironHeaders.__init__", "request.headers is built from the environ"),
    ("carboy.routing", "Map.lookup", "The rule is looked up"),
    ("carboy.routing", "MapAdapter.match", "The rule is matched"),
    ("werkzeug.routing", "MapAdapter.match", "The rule is matched"),
    ("flask", "Flask.wsgi_app", "Flask takes over"),
    ("django", "WSGIHandler.__call__", "Django takes over"),
    ("django", "HttpHeaders.__init__", "request.headers is built from the environ"),
    ("django.urls", "URLResolver.resolve", "The rule is matched"),
    ("django.template", "Template.render", "The template is rendered"),
    ("falcon", "App.__call__", "Falcon takes over"),
    ("falcon", "CompiledRouter.find", "The rule is matched"),
    ("flask", "RequestContext.push", "The contexts are pushed"),
    ("", "SecureCookieSessionInterface.open_session", "The session is opened"),
    ("", "SecureCookieSessionInterface.save_session", "The session is saved"),
    ("jinja2", "Environment._load_template", "The template is found"),
    ("jinja2", "Environment.compile", "The template is compiled"),
    ("jinja2", "Template.render", "The template is rendered"),
    ("carboy.app.cycle", "answer_of", "The view's return value becomes a response"),
    ("carboy.app.returns", "make_response", "The view's return value becomes a Response object"),
    ("flask", "Flask.make_response", "The view's return value becomes a Response object"),
    ("carboy.app.errors", "handle_http", "The HTTP exception becomes a response"),
    ("flask", "Flask.handle_http_exception", "The HTTP exception becomes a response"),
    ("carboy.app", "Carboy.handle_exception", "The exception becomes a response"),
    ("flask", "Flask.handle_exception", "The exception becomes a response"),
    ("carboy.server", "Responder.fail", "The application failed. The server responds"),
    ("carboy.protocol", "Machine.whole_response", "The response becomes bytes"),
    ("carboy.protocol", "Machine.start_response", "The response head becomes bytes"),
    ("", "socket.send", "The bytes are sent"),
    ("", "sendfile", "The file is sent by the kernel"),
)
FUNCTIONS = (
    ("url_value_preprocessors", "url_value_preprocessor"),
    ("before_request_funcs", "before_request hook"),
    ("after_request_funcs", "after_request hook"),
    ("teardown_request_funcs", "teardown_request hook"),
    ("template_context_processors", "context processor"),
)
SENDS = ("socket.send", "sendfile")
SUSPENDED = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
# Callers whose callbacks are not named: sorted(), map(), threads, …
BUSY_CALLERS = {places.APPLICATION, places.C_CODE, places.PYTHON, places.WAITING}
NO_RECEIVERS = {"blinker", places.PYTHON, places.C_CODE, places.KERNEL}


Key = tuple[CodeType, str]


def key_of(code: CodeType) -> Key:
    """A key that distinguishes equal code objects of two files."""
    return code, code.co_filename


@dataclass(slots=True)
class Step:
    """A named step and its call. `place` of a system call is that of its caller.

    If a server was recorded from its start, a step has the phase of the server's life, and the
    name of the caller with the line that made the call.
    """

    number: int
    title: str
    node: Node
    place: Place
    time: int
    times: int = 1  # consecutive sends are one step
    phase: str = ""
    caller: str = ""
    called_at: Place | None = None

    @property
    def where(self) -> str:
        """File and lines of the place."""
        return self.place.lines

    @property
    def file(self) -> str:
        """The file of the place."""
        return self.place.file


def name_steps(tracks: Iterable[Track], *apps: Any) -> list[Step]:
    """Find the steps. Sets `step` and `role` of the nodes. `apps` have the named functions."""
    roles: dict[Key, str] = {}
    for app in apps:
        roles.update(roles_of(app))
    namer = Namer(roles)
    steps: list[Step] = []
    for node, above in _in_order(tracks):
        title = namer.title(node, above)
        if not title:
            continue
        last = steps[-1] if steps else None
        if last is not None and title == last.title and node.name in SENDS:
            last.times += 1
            last.time += node.time
        else:
            place = node.place if node.place.lines or above is None else above.place
            steps.append(Step(len(steps) + 1, title, node, place, node.time))
        node.step = steps[-1].number
    return steps


def _in_order(tracks: Iterable[Track]) -> list[tuple[Node, Node | None]]:
    """All calls with their callers, of all threads, in the order in which they began."""

    def below(node: Node, above: Node | None) -> Iterator[tuple[Node, Node | None]]:
        yield node, above
        for child in node.children:
            yield from below(child, node)

    pairs = [pair for track in tracks for root in track.roots for pair in below(root, None)]
    return sorted(pairs, key=lambda pair: pair[0].began)


class Namer:
    """Names one call after the other; most titles are given only once."""

    def __init__(self, roles: dict[Key, str]) -> None:
        self._roles = roles
        self._seen: set[object] = set()

    def title(self, node: Node, above: Node | None) -> str:
        """The title of a call, or "". Sets the role of the node."""
        node.role = self._role(node, above)
        if node.role:
            # A coroutine is called again each time it is resumed.
            again = node.code is not None and node.code.co_flags & SUSPENDED
            return "" if again and not self._first(id(node.code)) else f"The {node.role} runs"
        return (
            _signal(node)
            or self._rule(node, above)
            or self._own(node, above)
            or self._compiled(node, above)
        )

    def _role(self, node: Node, above: Node | None) -> str:
        role = self._roles.get(key_of(node.code)) if node.code is not None else None
        return role or _receiver(node, above) or ""

    def _rule(self, node: Node, above: Node | None) -> str:
        for module, name, title in RULES:
            if node.name == name and node.module.startswith(module):
                if node.place.room == places.KERNEL and not _is_carboys(above):
                    return ""  # sockets of the application
                return title if name in SENDS or self._first(title) else ""
        return ""

    def _own(self, node: Node, above: Node | None) -> str:
        """A function of the application that a library calls, such as a template filter."""
        name = node.name.rpartition("<locals>.")[2]
        is_own = node.place.room == places.APPLICATION and not name.startswith("<")
        if not is_own or above is None or above.place.package in BUSY_CALLERS:
            return ""
        return f"Your {name} runs" if self._first(id(node.code) if node.code else name) else ""

    def _compiled(self, node: Node, above: Node | None) -> str:
        """A function of a compiled module that the application calls."""
        is_own = above is not None and above.place.room in (places.APPLICATION, places.TEMPLATE)
        if node.place.short != places.COMPILED or above is None or not is_own:
            return ""
        caller = above.name.rpartition(".")[2]
        return f"Your {caller} calls {node.name}" if self._first(node.name) else ""

    def _first(self, what: object) -> bool:
        if what in self._seen:
            return False
        self._seen.add(what)
        return True


def _is_carboys(node: Node | None) -> bool:
    return node is None or node.place.package == "carboy"


def _signal(node: Node) -> str:
    name = _signal_name(node)
    return f"Signal {name} is sent" if name else ""


def _signal_name(node: Node) -> str:
    if node.name != "Signal.send" or not node.module.startswith("blinker"):
        return ""
    return dict(node.args).get("self", "").partition(" ")[2].strip("'>")


def _receiver(node: Node, above: Node | None) -> str:
    """A receiver of a signal, in the application or an extension."""
    name = _signal_name(above) if above else ""
    ours = node.module.startswith("carboy.dev.")  # the list of requests has receivers, too
    if not name or ours or node.place.package in NO_RECEIVERS:
        return ""
    return f"receiver {node.name.rpartition('.')[2]!r} of signal {name}"


def roles_of(app: Any) -> dict[Key, str]:
    """The roles of the functions that are registered on a Flask or Carboy application."""
    roles: dict[Key, str] = {}
    for attribute, what in FUNCTIONS:
        for owner, functions in _items(getattr(app, attribute, None)):
            suffix = f" of blueprint {owner!r}" if owner else ""
            for function in functions:
                _note(roles, function, f"{what} {_called(function)!r}{suffix}")
    for function in getattr(app, "teardown_appcontext_funcs", None) or ():
        _note(roles, function, f"teardown_appcontext hook {_called(function)!r}")
    for endpoint, view in _items(getattr(app, "view_functions", None)):
        _note(roles, view, f"view {endpoint!r}")
    for _, by_code in _items(getattr(app, "error_handler_spec", None)):
        for _, by_kind in _items(by_code):
            for kind, function in _items(by_kind):
                _note(roles, function, f"error handler for {kind.__name__}")
    return roles


def _items(table: Any) -> list[tuple[Any, Any]]:
    return list(table.items()) if isinstance(table, dict) else []


def _called(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _note(roles: dict[Key, str], function: Any, role: str) -> None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    module = getattr(function, "__module__", "") or ""
    if isinstance(code, CodeType) and not module.startswith(("flask.", "carboy.")):
        roles.setdefault(key_of(code), role)
