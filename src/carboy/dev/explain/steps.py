"""The calls that mean something, named: where octets became a head, how the rule was found, …"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from carboy.dev.explain import places
from carboy.dev.explain.tree import Node, Track

# (module begins with, qualified name, what it is); the first call of each is the step
RULES = (
    ("socket", "socket.accept", "The connection is accepted"),
    ("", "socket.recv", "Octets are read from the socket"),
    ("carboy.protocol", "Connection.receive", "The octets become the head of a request"),
    ("carboy.server", "Reception.end", "The body of the request is complete"),
    ("carboy.gateway", "DirectGateway.prepare", "The dispatch key is found"),
    ("carboy.gateway", "WsgiGateway.prepare", "The dispatch key is found"),
    ("carboy.gateway", "DirectGateway.handle", "The application is called, on the direct lane"),
    ("carboy.gateway", "WsgiGateway.handle", "The application is called, as WSGI says"),
    ("carboy.server", "ServerExchange.environ", "The head becomes a WSGI environ"),
    ("carboy.http.origin_exchange", "headers", "The head becomes request.headers"),
    ("carboy.http.origin_environ", "headers", "The environ becomes request.headers"),
    ("werkzeug", "EnvironHeaders.__init__", "The environ becomes request.headers"),
    ("carboy.routing", "Map.lookup", "The rule is looked up"),
    ("carboy.routing", "MapAdapter.match", "The rule is matched"),
    ("werkzeug.routing", "MapAdapter.match", "The rule is matched"),
    ("flask", "Flask.wsgi_app", "Flask takes over"),
    ("flask", "RequestContext.push", "The contexts are pushed"),
    ("", "SecureCookieSessionInterface.open_session", "The session is opened"),
    ("", "SecureCookieSessionInterface.save_session", "The session is saved"),
    ("jinja2", "Environment._load_template", "The template is found"),
    ("jinja2", "Environment.compile", "The template is compiled"),
    ("jinja2", "Template.render", "The template is rendered"),
    ("carboy.app", "Carboy.make_response", "The view's value becomes a response"),
    ("flask", "Flask.make_response", "The view's value becomes a response"),
    ("carboy.app", "Carboy.handle_exception", "The exception becomes an answer"),
    ("flask", "Flask.handle_exception", "The exception becomes an answer"),
    ("carboy.server", "Answering.fail", "The application failed; the server answers"),
    ("carboy.protocol", "Connection.whole_response", "The answer becomes octets"),
    ("carboy.protocol", "Connection.start_response", "The head of the answer becomes octets"),
    ("", "socket.send", "The octets are sent"),
    ("", "sendfile", "The file is sent by the kernel"),
)
FUNCTIONS = (
    ("url_value_preprocessors", "url_value_preprocessor"),
    ("before_request_funcs", "before_request hook"),
    ("after_request_funcs", "after_request hook"),
    ("teardown_request_funcs", "teardown_request hook"),
    ("template_context_processors", "context processor"),
)
NO_RECEIVERS = {"blinker", places.PYTHON, places.C_CODE, places.KERNEL}


@dataclass(slots=True)
class Step:
    """One named step and the call it is; `where` is that of the caller for a system call."""

    number: int
    title: str
    node: Node
    where: str
    time: int  # nanoseconds
    times: int = 1  # the same came again, with no other step between


def name_steps(tracks: Iterable[Track], app: Any) -> list[Step]:
    """Find the steps, and write their numbers and the roles of functions into the nodes."""
    roles = roles_of(app)
    seen: set[int] = set()
    steps: list[Step] = []
    for node, above in _with_callers(tracks):
        role = roles.get(node.code) if node.code is not None else None
        role = role or _receiver(node, above)
        node.role = role or ""
        title = f"{role[0].upper()}{role[1:]} runs" if role else _signal(node) or _rule(node, seen)
        if not title:
            continue
        if steps and steps[-1].title == title:
            steps[-1].times += 1
            steps[-1].time += node.time
        else:
            where = node.place.lines or (above.place.lines if above else "")
            steps.append(Step(len(steps) + 1, title, node, where, node.time))
        node.step = steps[-1].number
    return steps


def _with_callers(tracks: Iterable[Track]) -> Iterator[tuple[Node, Node | None]]:
    def below(node: Node, above: Node | None) -> Iterator[tuple[Node, Node | None]]:
        yield node, above
        for child in node.children:
            yield from below(child, node)

    for track in tracks:
        for root in track.roots:
            yield from below(root, None)


def _rule(node: Node, seen: set[int]) -> str:
    for number, (module, name, title) in enumerate(RULES):
        if node.name == name and node.module.startswith(module):
            # The kernel's calls have no module, and each send is a step.
            if number in seen and name not in ("socket.send", "sendfile"):
                return ""
            seen.add(number)
            return title
    return ""


def _signal(node: Node) -> str:
    name = _signal_name(node)
    return f"Signal {name} is sent" if name else ""


def _signal_name(node: Node) -> str:
    if node.name != "Signal.send" or not node.module.startswith("blinker"):
        return ""
    return dict(node.args).get("self", "").partition(" ")[2].strip("'>")


def _receiver(node: Node, above: Node | None) -> str:
    """What a signal calls, of the application or of an extension."""
    name = _signal_name(above) if above else ""
    ours = node.module.startswith("carboy.dev.")  # the list of requests listens too
    if not name or ours or node.place.package in NO_RECEIVERS:
        return ""
    return f"receiver {node.name.rpartition('.')[2]!r} of signal {name}"


def roles_of(app: Any) -> dict[CodeType, str]:
    """What the functions registered on an application of Flask's kind are there for."""
    roles: dict[CodeType, str] = {}
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


def _note(roles: dict[CodeType, str], function: Any, role: str) -> None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    module = getattr(function, "__module__", "") or ""
    if isinstance(code, CodeType) and not module.startswith(("flask.", "carboy.")):
        roles.setdefault(code, role)
