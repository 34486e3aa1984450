"""The calls that mean something are named, each the first time it comes."""

from __future__ import annotations

import pytest

import carboy
from carboy.dev.explain import places
from carboy.dev.explain.steps import name_steps, roles_of
from carboy.dev.explain.tree import Node, Track
from explained import explanation, node


def titles(*roots: Node, app: object = None) -> list[str]:
    return [step.title for step in name_steps([Track("engine", list(roots))], app)]


def sends(count: int) -> list[Node]:
    return [node("socket.send", places.KERNEL, time=100) for _ in range(count)]


def test_a_rule_names_the_first_call_only() -> None:
    calls = [node("socket.recv", places.KERNEL), node("socket.recv", places.KERNEL)]
    assert titles(node("Engine._read", "server", *calls)) == ["Octets are read from the socket"]


def test_sends_in_a_row_are_one_step_and_those_between_others_their_own() -> None:
    found = explanation(
        node("push", "server", *sends(3)),
        node("Connection.receive", "protocol", module="carboy.protocol.connection"),
        node("push", "server", *sends(1)),
    )
    assert [(step.title, step.times, step.time) for step in found.steps] == [
        ("The octets are sent", 3, 300),
        ("The octets become the head of a request", 1, 1000),
        ("The octets are sent", 1, 100),
    ]
    assert [each.step for each in found.nodes()] == [0, 1, 1, 1, 2, 0, 3]


def test_a_name_counts_in_its_own_module_only() -> None:
    assert titles(node("Map.lookup", "app", module="shop.maps")) == []
    assert titles(node("Map.lookup", "app", module="carboy.routing.map")) == [
        "The rule is looked up"
    ]


def test_a_system_call_stands_where_its_caller_does() -> None:
    [step] = explanation(node("push", "server", *sends(1))).steps
    assert step.where == "server.py:10-20"


def test_signals_are_steps_and_their_receivers_have_a_role() -> None:
    heard = node("Listener.heard", places.APPLICATION)
    ours = node("note", "dev", module="carboy.dev.requests.listening")
    own = node("iterate", "blinker")
    sent = node("Signal.send", "blinker", heard, ours, own, module="blinker.base")
    sent.args = (("self", "<NamedSignal 'request-started'>"),)
    assert titles(sent) == [
        "Signal request-started is sent",
        "Receiver 'heard' of signal request-started runs",
    ]
    assert (ours.role, own.role) == ("", "")


@pytest.fixture
def app() -> carboy.Flask:
    app = carboy.Flask(__name__)
    notes = carboy.Blueprint("notes", __name__)
    notes.before_request(check)
    app.register_blueprint(notes)
    app.add_url_rule("/", "home", home)
    app.errorhandler(404)(missing)
    app.teardown_appcontext(close)
    return app


def home() -> str: ...  # type: ignore[empty-body]
def check() -> None: ...
def missing(error: Exception) -> str: ...  # type: ignore[empty-body]
def close(error: BaseException | None) -> None: ...


def test_functions_have_the_role_they_were_registered_for(app: carboy.Flask) -> None:
    roles = roles_of(app)
    assert roles[home.__code__] == "view 'home'"
    assert roles[check.__code__] == "before_request hook 'check' of blueprint 'notes'"
    assert roles[missing.__code__] == "error handler for NotFound"
    assert roles[close.__code__] == "teardown_appcontext hook 'close'"


def test_any_callable_has_no_roles() -> None:
    assert roles_of(lambda environ, start_response: []) == {}
