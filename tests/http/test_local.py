"""Context-local values and proxies, compared with Werkzeug."""

from __future__ import annotations

import copy
import math
import operator
import threading
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest
import werkzeug.local

from carboy.http import local
from carboy.http.local import Local, LocalManager, LocalProxy, LocalStack, release_local

MODULES = [local, werkzeug.local]


class Number(int):
    """An object that supports all kinds of operations."""

    def __enter__(self) -> str:
        return "entered"

    def __exit__(self, *args: object) -> None: ...


OPERATIONS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "str": (5, str),
    "repr": (5, repr),
    "bytes": (b"x", bytes),
    "format": (5, lambda p: f"{p:03}"),
    "hash": ("x", hash),
    "bool": ([], bool),
    "len": ([1, 2], len),
    "length hint": ([1, 2], operator.length_hint),
    "iter": ([1, 2], list),
    "next": (iter([1]), next),
    "reversed": ([1, 2], lambda p: list(reversed(p))),
    "contains": ([1, 2], lambda p: (1 in p, 5 in p)),
    "getitem": ({"a": 1}, lambda p: p["a"]),
    "slice": ([1, 2, 3], lambda p: p[1:]),
    "index": (2, lambda p: [1, 2, 3][p]),
    "call": (dict, lambda p: p(a=1)),
    "call with a proxy": (len, lambda p: p([1])),
    "lt": (5, lambda p: (p < 6, p <= 5, p > 6, p >= 5, p == 5, p != 5)),
    "reflected comparison": (5, lambda p: (p < 6, p == 5)),
    "arithmetic": (7, lambda p: (p + 2, p - 2, p * 2, p / 2, p // 2, p % 2, p**2)),
    "reflected arithmetic": (7, lambda p: (2 + p, 2 - p, 2 * p, 2 / p, 2 // p, 2 % p, 2**p)),
    "bits": (6, lambda p: (p & 2, p | 1, p ^ 3, p << 1, p >> 1, ~p)),
    "reflected bits": (6, lambda p: (2 & p, 1 | p, 3 ^ p, 1 << p, 1024 >> p)),
    "divmod": (7, lambda p: (divmod(p, 2), divmod(20, p), pow(p, 2, 5))),
    "unary": (-7, lambda p: (-p, +p, abs(p))),
    "rounding": (2.5, lambda p: (round(p), math.trunc(p), math.floor(p), math.ceil(p))),
    "numbers": (True, lambda p: (int(p), float(p), complex(p))),
    "enter": (Number(3), operator.methodcaller("__enter__")),
    "isinstance": (5, lambda p: (isinstance(p, int), p.__class__)),
    "instancecheck": (int, lambda p: (isinstance(5, p), issubclass(bool, p))),
    "doc": (math.sin, lambda p: p.__doc__),
    "name": (math.sin, lambda p: p.__name__),
    "dict": (type("C", (), {})(), lambda p: p.__dict__),
    "dir": ("x", dir),
    "copy": ([1, [2]], lambda p: (copy.copy(p), copy.deepcopy(p))),
    "attribute": (5, lambda p: (p.real, hasattr(p, "nope"), hasattr(p, "_nope"))),
    "method": ([1], lambda p: p.count(1)),
    "no such operation": (5, len),
    "not callable": (5, lambda p: p()),
    "wrapped": (5, lambda p: p.__wrapped__),
}


def outcome(operation: Callable[[Any], Any], value: Any) -> Any:
    try:
        return operation(value)
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize(("value", "operation"), OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_on_a_proxy_is_forwarded_to_the_object(
    value: Any, operation: Callable[[Any], Any]
) -> None:
    found = []
    for module in MODULES:
        fresh = iter([1]) if operation is next else value
        variable: ContextVar[Any] = ContextVar("variable")
        variable.set(fresh)
        found.append(outcome(operation, module.LocalProxy(variable)))
    assert found[0] == found[1]


@pytest.mark.parametrize(("value", "operation"), OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_on_an_unbound_proxy_fails_as_in_werkzeug(
    value: Any, operation: Callable[[Any], Any]
) -> None:
    if operation in (OPERATIONS["isinstance"][1], OPERATIONS["doc"][1]):
        return  # these give what belongs to the class itself
    found = []
    variable: ContextVar[Any] = ContextVar("variable")
    for module in MODULES:
        found.append(outcome(operation, module.LocalProxy(variable)))
    assert found[0] == found[1]


def test_the_message_of_an_unbound_proxy_can_be_chosen() -> None:
    proxy: Any = LocalProxy(ContextVar("variable"), unbound_message="no request here")
    with pytest.raises(RuntimeError, match="no request here"):
        proxy.anything  # noqa: B018
    with pytest.raises(RuntimeError, match="no request here"):
        proxy._get_current_object()


def test_an_unbound_proxy_is_false_and_has_its_own_class() -> None:
    proxy = LocalProxy(ContextVar("variable"))
    assert not proxy
    assert isinstance(proxy, LocalProxy)
    assert LocalProxy.__doc__ == proxy.__doc__
    assert "LocalProxy" in (proxy.__doc__ or "")


IN_PLACE = "add sub mul truediv floordiv mod pow and or xor lshift rshift".split()  # noqa: SIM905


@pytest.mark.parametrize("name", IN_PLACE)
def test_an_in_place_operation_keeps_the_proxy(name: str) -> None:
    for module in MODULES:
        variable: ContextVar[Any] = ContextVar("variable")
        variable.set(7)
        proxy = module.LocalProxy(variable)
        assert getattr(operator, f"i{name.rstrip('_')}")(proxy, 2) is proxy


def test_an_in_place_operation_changes_the_object() -> None:
    variable: ContextVar[list[int]] = ContextVar("variable")
    variable.set([1])
    proxy: Any = LocalProxy(variable)
    proxy += [2]
    assert variable.get() == [1, 2]
    assert type(proxy) is LocalProxy


def test_attributes_are_set_and_deleted_on_the_object() -> None:
    class Thing:
        pass

    thing = Thing()
    proxy: Any = LocalProxy(lambda: thing)
    proxy.a = 1
    proxy._b = 2
    assert vars(thing) == {"a": 1, "_b": 2}
    del proxy.a
    assert vars(thing) == {"_b": 2}
    proxy.__doc__ = "text"
    assert thing.__doc__ == "text"


def test_a_failing_property_runs_once() -> None:
    class Thing:
        runs = 0

        @property
        def broken(self) -> int:
            type(self).runs += 1
            raise AttributeError("inside")

    proxy: Any = LocalProxy(Thing)
    with pytest.raises(AttributeError, match="inside"):
        proxy.broken  # noqa: B018
    assert Thing.runs == 1


def test_a_proxy_can_forward_to_an_attribute_of_the_value() -> None:
    class Holder:
        def __init__(self, request: str) -> None:
            self.request = request

    variable: ContextVar[Holder] = ContextVar("variable")
    proxy: Any = LocalProxy(variable, "request")
    with pytest.raises(RuntimeError):
        proxy.upper()
    variable.set(Holder("x"))
    assert proxy.upper() == "X"
    variable.set(Holder("y"))
    assert proxy == "y"


@pytest.mark.parametrize("source", [5, "text", None])
def test_an_unsupported_source_is_refused(source: Any) -> None:
    for module in MODULES:
        with pytest.raises(TypeError):
            module.LocalProxy(source)
        with pytest.raises(TypeError):
            module.LocalProxy(module.Local())


def test_a_local_has_separate_values_in_each_thread() -> None:
    namespace = Local()
    namespace.value = "main"
    seen = []

    def other() -> None:
        seen.append(hasattr(namespace, "value"))
        namespace.value = "other"
        seen.append(namespace.value)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert (seen, namespace.value) == ([False, "other"], "main")


@pytest.mark.parametrize("module", MODULES)
def test_a_copied_context_does_not_see_later_values(module: Any) -> None:
    namespace, stack = module.Local(), module.LocalStack()
    namespace.value = 1
    stack.push(1)
    context: Context = copy_context()
    context.run(setattr, namespace, "value", 2)
    context.run(stack.push, 2)
    assert (namespace.value, stack.top) == (1, 1)
    assert context.run(getattr, namespace, "value") == 2


@pytest.mark.parametrize("module", MODULES)
def test_a_local_is_a_namespace(module: Any) -> None:
    namespace = module.Local()
    proxy = namespace("value", unbound_message="none yet")
    with pytest.raises(AttributeError):
        namespace.value  # noqa: B018
    with pytest.raises(AttributeError):
        del namespace.value
    with pytest.raises(RuntimeError, match="none yet"):
        proxy + 1
    namespace.value = 3
    assert (list(namespace), proxy + 1) == ([("value", 3)], 4)
    del namespace.value
    assert list(namespace) == []


@pytest.mark.parametrize("module", MODULES)
def test_a_stack_returns_its_top_item(module: Any) -> None:
    stack = module.LocalStack()
    proxy, real = stack(), stack("real")
    assert (stack.pop(), stack.top) == (None, None)
    with pytest.raises(RuntimeError):
        proxy + 1
    assert stack.push(1) == [1]
    assert stack.push(2) == [1, 2]
    assert (proxy + 1, real + 1, stack.pop(), stack.top) == (3, 3, 2, 1)


@pytest.mark.parametrize("module", MODULES)
def test_a_manager_empties_its_locals(module: Any) -> None:
    namespace, stack = module.Local(), module.LocalStack()
    manager = module.LocalManager([namespace, stack])
    assert repr(manager) == "<LocalManager storages: 2>"
    namespace.value = 1
    stack.push(1)
    manager.cleanup()
    assert (list(namespace), stack.top) == ([], None)
    assert module.LocalManager(namespace).locals == [namespace]
    assert module.LocalManager().locals == []


def test_a_manager_empties_its_locals_when_the_response_is_closed() -> None:
    namespace = Local()

    @LocalManager(namespace).middleware
    def app(environ: Any, start_response: Any) -> list[bytes]:
        namespace.value = 1
        return [b"x"]

    body = app({}, None)
    assert list(body) == [b"x"]
    assert list(namespace) == [("value", 1)]
    body.close()
    assert list(namespace) == []
    assert app.__name__ == "app"


def test_a_given_context_variable_is_used() -> None:
    values: ContextVar[dict[str, Any]] = ContextVar("values")
    items: ContextVar[list[Any]] = ContextVar("items")
    Local(values).a = 1
    LocalStack(items).push("x")
    assert (values.get(), items.get()) == ({"a": 1}, ["x"])
    release_local(LocalStack(items))
    assert items.get() == []
