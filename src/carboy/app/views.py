"""Class-based views."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, ClassVar

from carboy.app.globals import current_app, request

if TYPE_CHECKING:
    from carboy.app.typing import ResponseReturnValue, RouteCallable

__all__ = ["MethodView", "View", "http_method_funcs"]

http_method_funcs = frozenset({"get", "post", "head", "options", "delete", "put", "trace", "patch"})


class View:
    """A class-based view: subclass, define `dispatch_request`, register `as_view(name)`.

    `decorators` wrap the view function, the first one innermost. With `init_every_request`
    False, `as_view` makes one instance for all requests, which must not keep state.
    """

    methods: ClassVar[Collection[str] | None] = None
    provide_automatic_options: ClassVar[bool | None] = None
    decorators: ClassVar[list[Callable[..., Any]]] = []
    init_every_request: ClassVar[bool] = True

    def dispatch_request(self) -> ResponseReturnValue:
        """Handle a request. The URL variables are keyword arguments."""
        raise NotImplementedError(f"Write the method 'dispatch_request' of {type(self).__name__}.")

    @classmethod
    def as_view(cls, name: str, *class_args: Any, **class_kwargs: Any) -> RouteCallable:
        """A view function for `add_url_rule`; the other arguments go to `__init__`."""
        each_time = cls.init_every_request
        only: Any = None
        if each_time:

            def view(**kwargs: Any) -> ResponseReturnValue:
                # Read from the function, where it may have been replaced.
                self = view.view_class(*class_args, **class_kwargs)  # type: ignore[attr-defined]
                return _call(self.dispatch_request, kwargs)  # type: ignore[no-any-return]

        else:
            only = cls(*class_args, **class_kwargs)

            def view(**kwargs: Any) -> ResponseReturnValue:
                return _call(only.dispatch_request, kwargs)  # type: ignore[no-any-return]

        alone = view
        for decorator in cls.decorators:
            _name(view, cls, name)
            view = decorator(view)
        _name(view, cls, name)
        found: Any = view
        if view is alone:

            def suspending(**kwargs: Any) -> Any:
                made = found.view_class(*class_args, **class_kwargs) if each_time else only
                return _call_without_thread(made, kwargs)

            found.suspending_view = (view, suspending)  # for the cycle, see plan.learn_view
        found.view_class = cls
        found.methods = cls.methods
        found.provide_automatic_options = cls.provide_automatic_options
        return view


def _call(function: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    return current_app.ensure_sync(function)(**kwargs)


def _call_without_thread(self: View, kwargs: dict[str, Any]) -> Any:
    """Call `dispatch_request`, which may end the cycle for now if it is a coroutine function."""
    method = self.dispatch_request
    if isinstance(self, MethodView) and type(self).dispatch_request is MethodView.dispatch_request:
        method = self._method()
    called = current_app.ensure_sync(method)
    return getattr(called, "suspending", called)(**kwargs)


def _name(view: Any, cls: type[View], name: str) -> None:
    # Also set before each decorator, because functools.wraps copies these names.
    view.__name__ = name
    view.__module__ = cls.__module__
    view.__doc__ = cls.__doc__


class MethodView(View):
    """A view with one method for each HTTP method: `get`, `post`, ….

    `methods` is made from the methods of this class and its bases.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "methods" in cls.__dict__:
            return
        methods = {name.upper() for name in http_method_funcs if hasattr(cls, name)}
        for base in cls.__bases__:
            methods.update(getattr(base, "methods", None) or ())
        if methods:
            cls.methods = methods

    def dispatch_request(self, **kwargs: Any) -> ResponseReturnValue:
        return _call(self._method(), kwargs)  # type: ignore[no-any-return]

    def _method(self) -> Callable[..., Any]:
        """The method for the method of the request."""
        handler = getattr(self, request.method.lower(), None)
        if handler is None and request.method == "HEAD":
            handler = getattr(self, "get", None)
        if handler is None:
            raise AssertionError(
                f"Unimplemented method {request.method!r}: give {type(self).__name__} a method"
                " of that name in lower case."
            )
        return handler  # type: ignore[no-any-return]
