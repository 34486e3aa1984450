"""The compiled function that reads attributes of a proxy: the same as its twin."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

import carboy
from _speedups.twins import compiled
from carboy.app.active import NO_REQUEST, find_request
from carboy.http import local as python
from carboy.http.local import Local, LocalProxy, LocalStack
from carboy.speedups import speedups

twin = compiled("local")
(_python_attribute,) = python._choose.__defaults__ or (None,)


class Thing:
    a = "text"
    _own = "with a line"
    _get_current_object = "of the object"

    @property
    def broken(self) -> None:
        raise AttributeError("inside")

    @property
    def failing(self) -> None:
        raise ValueError("inside")


class Name(str):
    pass


class Proxy(LocalProxy[Any]):
    own = "of the proxy"


def nothing() -> Any:
    raise RuntimeError("There is nothing.")


def proxies() -> dict[str, Any]:
    local, stack, variable = Local(), LocalStack[Any](), ContextVar[Any]("a test")
    local.thing = Thing()
    stack.push(Thing())
    variable.set(Thing())
    return {
        "function": LocalProxy(Thing),
        "local": local("thing"),
        "stack": stack(),
        "variable": LocalProxy(variable),
        "attribute": LocalProxy(variable, "a"),
        "subclass": Proxy(Thing),
        "nothing": LocalProxy(nothing),
        "unbound": LocalStack[Any]()(),
        "not made": LocalProxy.__new__(LocalProxy),
    }


def outcome(read: Any, proxy: Any, name: Any) -> Any:
    try:
        found = read(proxy, name)
    except Exception as error:
        return type(error), str(error)
    return type(found), found if isinstance(found, str) else None


@pytest.mark.parametrize("kind", [*proxies()])
@pytest.mark.parametrize(
    "name",
    ["a", "own", "_own", "missing", "_missing", "", "__class__", "__doc__", "__dict__", "broken",
     "failing", "_get_current_object", "_LocalProxy__wrapped", "é", Name("a"), Name("_own")],
)  # fmt: skip
def test_both_read_the_same_attribute(kind: str, name: str) -> None:
    proxy = proxies()[kind]
    mine = outcome(twin.proxy_attribute, proxy, name)
    assert mine == outcome(_python_attribute, proxy, name)


def test_what_is_not_a_proxy_or_a_name_is_refused() -> None:
    with pytest.raises(TypeError):
        twin.proxy_attribute(Thing(), "a")
    with pytest.raises(TypeError):
        twin.proxy_attribute(LocalProxy(Thing), 1)


@pytest.fixture(params=["python", "compiled"])
def which(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "python":
        speedups.hold("a test")
    elif speedups.reason:
        pytest.skip(speedups.reason)
    try:
        yield request.param
    finally:
        if request.param == "python":
            speedups.release("a test")


def test_the_request_is_found_by_the_chosen_twin(which: str) -> None:
    used = LocalProxy.__dict__["__getattribute__"]
    assert used is (_python_attribute if which == "python" else twin.proxy_attribute)
    proxy: Any = LocalProxy(find_request)
    app = carboy.Flask("proxies")
    with pytest.raises(RuntimeError) as raised:
        proxy.path  # noqa: B018
    assert str(raised.value) == NO_REQUEST
    with app.test_request_context("/a"):
        assert proxy.path == carboy.request.path == "/a"
        with app.test_request_context("/b"):
            assert proxy.path == "/b"
        with pytest.raises(AttributeError, match="missing"):
            proxy.missing  # noqa: B018
    with app.app_context(), pytest.raises(RuntimeError):
        proxy.path  # noqa: B018
