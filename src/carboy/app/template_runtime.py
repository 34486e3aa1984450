"""The functions that templates call while they are rendered: those of Jinja, with shorter ways.

Each of them returns what Jinja's own code returns. It looks at the type of a value first. For the
usual types it takes the short way, and for all others it calls Jinja or MarkupSafe.
"""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import markupsafe
from jinja2.runtime import Context as JinjaContext
from jinja2.runtime import Macro
from jinja2.utils import internalcode
from markupsafe import Markup, escape

from carboy.app import quick_urls

# The function in C; another version of MarkupSafe may not have it.
_escape_str: Callable[[str], str] = getattr(markupsafe, "_escape_inner", escape)

PASSES = "jinja_pass_arg"  # set by pass_context, pass_eval_context and pass_environment
NO_ATTRIBUTES: dict[str, Any] = {}


@internalcode
def escape_text(value: Any) -> str:
    """The text of `escape(value)`. The caller joins it, so it does not have to be Markup."""
    kind = type(value)
    if kind is str:
        return _escape_str(value)
    if kind is int:
        return str(value)
    if kind is Markup:
        return value  # type: ignore[no-any-return]
    return escape(value)


class Context(JinjaContext):
    """The context of Jinja, which calls functions that take no context directly."""

    @internalcode
    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """The value that `function` returns; an Undefined if it raises StopIteration."""
        kind = type(function)
        if kind is FunctionType:
            attributes = function.__dict__
        elif kind is MethodType and type(function.__func__) is FunctionType:
            attributes = function.__func__.__dict__
        elif kind is BuiltinFunctionType or function is range:
            attributes = NO_ATTRIBUTES
        elif kind is Macro:
            attributes = NO_ATTRIBUTES
            args = (self.eval_ctx, *args)
        else:
            return super().call(function, *args, **kwargs)
        if attributes and (PASSES in attributes or "__call__" in attributes):
            return super().call(function, *args, **kwargs)
        if kwargs:
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
        try:
            return function(*args, **kwargs)
        except StopIteration:
            return super().call(_stop)


def _stop() -> Any:
    """For the text of Jinja's own Undefined."""
    raise StopIteration


@internalcode
def link(
    context: JinjaContext, function: Any, endpoint: Any, values: dict[str, Any], hidden: Any
) -> Any:
    """`context.call(function, endpoint, **values, **hidden)`, usually with `app.url_for`."""
    if (
        type(function) is MethodType
        and function.__func__ is quick_urls.stock_url_for
        and type(context) is Context
    ):
        app: Any = function.__self__
        path = quick_urls.path(app, endpoint, values)
        if path is not None:
            return path
    return context.call(function, endpoint, **values, **hidden)
