"""The calls that are steps, and their titles."""

from __future__ import annotations

from pathlib import Path
from types import CodeType, SimpleNamespace

import pytest

from carboy.dev.explain.places import APPLICATION, C_CODE, COMPILED, KERNEL, PYTHON, Place
from carboy.dev.explain.steps import RULES, Step, key_of, name_steps, roles_of
from carboy.dev.explain.tree import Node, Track
from code_map import modules
from explained import call, explanation, request

ROOT = Path(__file__).parents[2]


def titles(*roots: Node, app: object = None) -> list[str]:
    return [step.title for step in name_steps([Track("engine", list(roots))], app)]


def code_of(function: object) -> CodeType:
    code = getattr(function, "__code__")  # noqa: B009 (an object has none, for mypy)
    assert isinstance(code, CodeType)
    return code


def test_steps_are_numbered_in_the_order_in_which_they_began() -> None:
    assert [(step.number, step.title) for step in explanation().steps] == [
        (1, "The connection is accepted"),
        (2, "Bytes are read from the socket"),
        (3, "Flask takes over"),
        (4, "Your index runs"),
        (5, "The bytes are sent"),
    ]


def test_steps_of_several_threads_are_in_one_order() -> None:
    other = [call("work", APPLICATION, 5, 6), call("Flask.wsgi_app", "flask", 25, 26)]
    tracks = [
        Track(
            "engine",
            [call("socket.accept", PYTHON, 0, 1, module="socket"), call("run", "server", 30, 40)],
        ),
        Track("worker", [call("run", "server", 4, 8, other[0]), other[1]]),
    ]
    tracks[0].roots[1].children = [call("socket.send", KERNEL, 35, 36)]
    assert [step.title for step in name_steps(tracks, None)] == [
        "The connection is accepted",
        "Your work runs",
        "Flask takes over",
        "The bytes are sent",
    ]


def test_consecutive_sends_are_one_step_with_their_total_time() -> None:
    last: Step = explanation().steps[-1]
    assert (last.times, last.time) == (2, 9_000)


def test_a_system_call_has_the_place_of_its_caller() -> None:
    assert explanation().steps[-1].where == "carboy/server/file.py:10-20"


def test_sockets_of_the_application_are_not_steps() -> None:
    view = call("index", APPLICATION, 0, 9, call("socket.send", KERNEL, 1, 2))
    loop = call("BaseEventLoop.call_soon", PYTHON, 10, 19, call("socket.send", KERNEL, 11, 12))
    assert titles(call("handle", "gateway", 0, 20, view, loop)) == ["Your index runs"]


def test_a_repeated_call_is_one_step() -> None:
    roots = [call("Flask.wsgi_app", "flask", n, n + 1) for n in range(3)]
    assert titles(*roots) == ["Flask takes over"]


def test_a_function_is_a_step_only_in_its_own_module() -> None:
    assert titles(call("Flask.wsgi_app", "other", 0, 1)) == []


def test_calls_within_the_application_are_not_steps() -> None:
    inner = call("total", APPLICATION, 1, 2)
    assert titles(call("run", "server", 0, 4, call("index", APPLICATION, 0, 3, inner))) == [
        "Your index runs"
    ]
    for busy in (C_CODE, PYTHON):
        assert titles(call("sorted", busy, 0, 4, call("key", APPLICATION, 0, 3))) == []


def test_lambdas_and_comprehensions_are_not_steps() -> None:
    own = [
        call(name, APPLICATION, 0, 1)
        for name in ("index.<locals>.<lambda>", "index.<locals>.<listcomp>")
    ]
    assert titles(call("run", "server", 0, 4, *own)) == []


def test_a_nested_function_has_its_own_name() -> None:
    own = call("stream.<locals>.lines", APPLICATION, 0, 1)
    assert titles(call("run", "server", 0, 4, own)) == ["Your lines runs"]


def test_registered_functions_have_their_roles() -> None:
    def index() -> None: ...
    def check() -> None: ...
    def sorry(error: Exception) -> None: ...

    app = SimpleNamespace(
        view_functions={"shop.index": index},
        before_request_funcs={None: [check], "shop": [check]},
        error_handler_spec={None: {None: {KeyError: sorry}}},
    )
    roles = roles_of(app)
    assert roles[key_of(code_of(index))] == "view 'shop.index'"
    assert roles[key_of(code_of(check))] == "before_request hook 'check'"
    assert roles[key_of(code_of(sorry))] == "error handler for KeyError"
    node = call("index", APPLICATION, 0, 1)
    node.code = code_of(index)
    assert titles(call("run", "server", 0, 2, node), app=app) == ["The view 'shop.index' runs"]
    assert node.role == "view 'shop.index'"


def test_attributes_of_other_types_give_no_roles() -> None:
    assert roles_of(SimpleNamespace(view_functions=7, before_request_funcs=None)) == {}
    assert roles_of(None) == {}


def test_a_resumed_coroutine_is_not_a_second_step() -> None:
    async def later() -> None: ...

    roots = request()
    for root in roots:
        root.children.append(call("later", APPLICATION, root.ended - 1, root.ended))
        root.children[-1].code = code_of(later)
    app = SimpleNamespace(view_functions={"later": later})
    assert titles(*roots, app=app).count("The view 'later' runs") == 1


def test_signals_and_their_receivers_are_named() -> None:
    heard = call("heard", APPLICATION, 1, 2)
    sent = call("Signal.send", "blinker", 0, 3, heard, module="blinker.base")
    sent.args = (("self", "<NamedSignal 'paid'>"),)
    assert titles(sent) == ["Signal paid is sent", "The receiver 'heard' of signal paid runs"]


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, name, _ in RULES if module.startswith("carboy")]
    + [("carboy.server.engine", f"Engine.{name}") for name in ("_turn", "_tick", "patience")],
)
def test_the_functions_of_carboy_that_are_named_exist(module: str, name: str) -> None:
    there = [each for each in modules(ROOT) if each.name.startswith(module)]
    assert any(name == found for each in there for found, _ in each.functions())


def test_compiled_code_that_the_application_calls_is_a_step() -> None:
    def compiled(began: int) -> Node:
        node = call("orjson.dumps", "orjson", began, began + 1)
        node.place = Place("", 0, 0, "orjson", "orjson", COMPILED)
        return node

    view = call("index", APPLICATION, 0, 9, compiled(1), compiled(3))
    library = call("wsgi_app", "flask", 0, 9, compiled(1))
    assert [step.title for step in name_steps([Track("t", [view])], None)] == [
        "Your index calls orjson.dumps"
    ]
    assert name_steps([Track("t", [library])], None) == []
