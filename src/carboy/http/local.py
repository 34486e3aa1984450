"""Names with a value in each context (thread or task), and proxies to such values.

Python finds special methods on the type of a proxy, so the type has a descriptor for each of them,
which forwards to the object. A `Local` keeps its values in one ContextVar, because context
variables are never deleted. The variable holds a dict that is replaced and never changed, so that
a copied context does not see later assignments.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import partial, update_wrapper
from operator import attrgetter
from types import ModuleType
from typing import Any, Generic, TypeVar

from carboy.http.wsgi import ClosingIterator
from carboy.speedups import speedups

T = TypeVar("T")
_NOT_BOUND = "object is not bound"


def release_local(local: Local | LocalStack[Any]) -> None:
    """Empty a Local or a LocalStack in the current context."""
    local.__release_local__()


class Local:
    """A namespace with separate values in each context.

    Calling it with a name returns a proxy to that attribute. Pass a `context_var` to a Local that
    is not made at module level, because context variables are never deleted.
    """

    __slots__ = ("_storage",)

    def __init__(self, context_var: ContextVar[dict[str, Any]] | None = None) -> None:
        if context_var is None:
            context_var = ContextVar(f"carboy.Local<{id(self)}>")
        object.__setattr__(self, "_storage", context_var)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._values().items())

    def __call__(self, name: str, *, unbound_message: str | None = None) -> LocalProxy[Any]:
        """A proxy to the attribute `name`."""
        return LocalProxy(self, name, unbound_message=unbound_message)

    def _values(self) -> dict[str, Any]:
        return object.__getattribute__(self, "_storage").get({})  # type: ignore[no-any-return]

    def __release_local__(self) -> None:
        object.__getattribute__(self, "_storage").set({})

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values()[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        object.__getattribute__(self, "_storage").set({**self._values(), name: value})

    def __delattr__(self, name: str) -> None:
        values = dict(self._values())
        if name not in values:
            raise AttributeError(name)
        del values[name]
        object.__getattribute__(self, "_storage").set(values)


class LocalStack(Generic[T]):
    """A separate stack in each context. Calling it returns a proxy to the top item."""

    __slots__ = ("_storage",)

    def __init__(self, context_var: ContextVar[list[T]] | None = None) -> None:
        if context_var is None:
            context_var = ContextVar(f"carboy.LocalStack<{id(self)}>")
        self._storage = context_var

    def __release_local__(self) -> None:
        self._storage.set([])

    def push(self, obj: T) -> list[T]:
        """Add an item on top and return the whole stack."""
        stack = [*self._storage.get([]), obj]
        self._storage.set(stack)
        return stack

    def pop(self) -> T | None:
        """Remove and return the top item; None if the stack is empty."""
        stack = self._storage.get([])
        if not stack:
            return None
        self._storage.set(stack[:-1])
        return stack[-1]

    @property
    def top(self) -> T | None:
        """The top item; None if the stack is empty."""
        stack = self._storage.get([])
        return stack[-1] if stack else None

    def __call__(
        self, name: str | None = None, *, unbound_message: str | None = None
    ) -> LocalProxy[Any]:
        """A proxy to the top item, or to its attribute `name`."""
        return LocalProxy(self, name, unbound_message=unbound_message)


class LocalManager:
    """Empties several Locals and LocalStacks together, for instance at the end of a request."""

    __slots__ = ("locals",)

    def __init__(
        self, locals: Local | LocalStack[Any] | Iterable[Local | LocalStack[Any]] | None = None
    ) -> None:
        if locals is None:
            self.locals: list[Local | LocalStack[Any]] = []
        elif isinstance(locals, Local | LocalStack):
            self.locals = [locals]
        else:
            self.locals = list(locals)

    def cleanup(self) -> None:
        """Empty all Locals and LocalStacks in the current context."""
        for local in self.locals:
            release_local(local)

    def make_middleware(self, app: Any) -> Any:
        """Wrap a WSGI application so that `cleanup` runs when its response is closed."""

        def application(environ: dict[str, Any], start_response: Any) -> ClosingIterator:
            return ClosingIterator(app(environ, start_response), self.cleanup)

        return application

    def middleware(self, func: Any) -> Any:
        """`make_middleware` as a decorator that keeps the function's name and docstring."""
        return update_wrapper(self.make_middleware(func), func)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} storages: {len(self.locals)}>"


def _resolver(source: Any, name: str | None, unbound_message: str | None) -> Callable[[], Any]:
    """A function that returns the object of a proxy, depending on the type of `source`."""
    message = unbound_message or _NOT_BOUND
    pick: Callable[[Any], Any] | None = None if name is None else attrgetter(name)
    if isinstance(source, Local):
        if name is None:
            raise TypeError(
                "'name' is required when proxying a 'Local': it selects one of its values."
            )
        return partial(_from_local, source, name, message)
    if isinstance(source, LocalStack):
        return partial(_from_stack, source, pick, message)
    if isinstance(source, ContextVar):
        return _from_variable(source, pick, message)
    if callable(source):
        return source if pick is None else lambda: pick(source())
    raise TypeError(
        f"Don't know how to proxy {type(source)}. Pass a ContextVar, a Local, a"
        " LocalStack or a function."
    )


def _from_local(local: Local, name: str, message: str) -> Any:
    try:
        return getattr(local, name)
    except AttributeError:
        raise RuntimeError(message) from None


def _from_stack(stack: LocalStack[Any], pick: Callable[[Any], Any] | None, message: str) -> Any:
    top = stack.top
    if top is None:
        raise RuntimeError(message)
    return top if pick is None else pick(top)


def _from_variable(
    variable: ContextVar[Any], pick: Callable[[Any], Any] | None, message: str
) -> Callable[[], Any]:
    get = variable.get

    def plain() -> Any:
        try:
            return get()
        except LookupError:
            raise RuntimeError(message) from None

    if pick is None:
        return plain

    def attribute() -> Any:
        # A copy of `plain`, because this runs for every `request.something`.
        try:
            found = get()
        except LookupError:
            raise RuntimeError(message) from None
        return pick(found)

    return attribute


class LocalProxy(Generic[T]):
    """A proxy that looks up its object at each use and forwards all operations to it.

    The `local` of a LocalProxy is a ContextVar, a Local, a LocalStack or a function, and `name` an
    attribute of its value. RuntimeError with `unbound_message` if there is no value.
    """

    __slots__ = ("__wrapped", "_get_current_object")

    _get_current_object: Callable[[], T]

    def __init__(
        self,
        local: ContextVar[T] | Local | LocalStack[T] | Callable[[], T],
        name: str | None = None,
        *,
        unbound_message: str | None = None,
    ) -> None:
        find = _resolver(local, name, unbound_message)
        object.__setattr__(self, "_LocalProxy__wrapped", local)
        object.__setattr__(self, "_get_current_object", find)

    # isinstance() uses this property. type() still returns LocalProxy.
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        try:
            return self._get_current_object().__class__
        except RuntimeError:
            return type(self)

    # Not __getattr__: Python would first search the proxy and raise an exception, which doubles the
    # time of the most frequent operation.
    def __getattribute__(self, name: str) -> Any:
        if name[:1] != "_":
            return getattr(_find(self)(), name)
        try:
            return object.__getattribute__(self, name)
        except AttributeError:
            return getattr(_find(self)(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._get_current_object(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._get_current_object(), name)


_find = LocalProxy.__dict__["_get_current_object"].__get__
_proxy_text = LocalProxy.__doc__


class _Forward:
    """A special method of the proxy: `operation(object, …)`, or the object's own method.

    `unbound` is called with the proxy if the proxy has no object.
    """

    __slots__ = ("name", "operation", "unbound")

    def __init__(
        self,
        name: str,
        operation: Callable[..., Any] | None,
        unbound: Callable[..., Any] | None = None,
    ) -> None:
        self.name = name
        self.operation = operation
        self.unbound = unbound

    def __get__(self, proxy: Any, owner: type | None = None) -> Any:
        if proxy is None:
            return self
        try:
            found = proxy._get_current_object()
        except RuntimeError:
            if self.unbound is None:
                raise
            return partial(self.unbound, proxy)
        if self.operation is None:
            return getattr(found, self.name)
        return partial(self.operation, found)

    def __call__(self, proxy: Any, *args: Any, **kwargs: Any) -> Any:
        """A call through the class, as by copy.copy(): the proxy is the first argument."""
        return self.__get__(proxy)(*args, **kwargs)

    def __repr__(self) -> str:
        return f"proxy {self.name}"


class _ForwardAttribute(_Forward):
    """A special attribute that is not a method, such as `__doc__`."""

    __slots__ = ()

    def __get__(self, proxy: Any, owner: type | None = None) -> Any:
        if proxy is None:
            return _proxy_text if self.name == "__doc__" else self
        try:
            found = proxy._get_current_object()
        except RuntimeError:
            if self.unbound is None:
                raise
            return self.unbound(proxy)
        return getattr(found, self.name)

    # With __set__, assignments go to the object as well.
    def __set__(self, proxy: Any, value: Any) -> None:
        setattr(proxy._get_current_object(), self.name, value)


class _ForwardInPlace(_Forward):
    """`proxy += value` changes the object; the name still refers to the proxy."""

    __slots__ = ()

    def __get__(self, proxy: Any, owner: type | None = None) -> Any:
        if proxy is None:
            return self
        return partial(self._apply, proxy, proxy._get_current_object())

    def _apply(self, proxy: Any, found: Any, value: Any) -> Any:
        self.operation(found, value)  # type: ignore[misc]
        return proxy


_BINARY = (
    "add and floordiv lshift matmul mod mul or pow rshift sub truediv xor".split()  # noqa: SIM905
)
_OPERATIONS: dict[str, Callable[..., Any] | None] = {
    "str": str, "bytes": bytes, "format": format, "hash": hash, "len": len,
    "length_hint": operator.length_hint, "getitem": operator.getitem,
    "setitem": operator.setitem, "delitem": operator.delitem, "contains": operator.contains,
    "iter": iter, "next": next, "reversed": reversed, "aiter": None, "anext": None,
    "await": None, "enter": None, "exit": None, "aenter": None, "aexit": None,
    "lt": operator.lt, "le": operator.le, "eq": operator.eq, "ne": operator.ne,
    "gt": operator.gt, "ge": operator.ge, "neg": operator.neg, "pos": operator.pos,
    "abs": abs, "invert": operator.invert, "complex": complex, "int": int, "float": float,
    "index": operator.index, "round": round, "trunc": math.trunc, "floor": math.floor,
    "ceil": math.ceil, "divmod": divmod, "pow": pow,
    "call": lambda found, *args, **kwargs: found(*args, **kwargs),
    "rdivmod": lambda found, other: divmod(other, found),
    "instancecheck": lambda found, other: isinstance(other, found),
    "subclasscheck": lambda found, other: issubclass(other, found),
}  # fmt: skip


def _reversed(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda found, other: operation(other, found)


def _copy(found: Any) -> Any:
    return copy.copy(found)


def _deepcopy(found: Any, memo: Any) -> Any:
    return copy.deepcopy(found, memo)


def _install() -> None:
    special: dict[str, _Forward] = {}
    for name in _BINARY:
        operation = _OPERATIONS.get(name) or getattr(operator, f"__{name}__")
        special[f"__{name}__"] = _Forward(f"__{name}__", operation)
        special[f"__r{name}__"] = _Forward(f"__r{name}__", _reversed(operation))
        in_place = getattr(operator, f"__i{name}__")
        special[f"__i{name}__"] = _ForwardInPlace(f"__i{name}__", in_place)
    for name, found in _OPERATIONS.items():
        special[f"__{name}__"] = _Forward(f"__{name}__", found)
    for forward in (
        _Forward("__repr__", repr, lambda proxy: f"<{type(proxy).__name__} unbound>"),
        _Forward("__bool__", bool, lambda proxy: False),
        _Forward("__dir__", dir, lambda proxy: []),
        _Forward("__copy__", _copy),
        _Forward("__deepcopy__", _deepcopy),
        _ForwardAttribute("__doc__", None, lambda proxy: _proxy_text),
        _ForwardAttribute("__wrapped__", None, lambda proxy: proxy._LocalProxy__wrapped),
    ):
        special[forward.name] = forward
    for name, forward in special.items():
        setattr(LocalProxy, name, forward)


_install()


def _choose(
    compiled: ModuleType | None, python: Any = LocalProxy.__dict__["__getattribute__"]
) -> None:
    if compiled is not None:
        compiled.prepare_proxy(LocalProxy)
    attribute = python if compiled is None else compiled.proxy_attribute
    type.__setattr__(LocalProxy, "__getattribute__", attribute)


speedups.twins("local", _choose)
