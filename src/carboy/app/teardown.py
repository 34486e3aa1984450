"""The end of a request: the contexts are popped, and the teardown functions run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from carboy.app import signals
from carboy.app.active import Frame, Token, _cv
from carboy.app.context import (
    AppContext,
    RequestContext,
    _cv_app,
    _cv_request,
    _wrong_order,
    release,
)
from carboy.time_limits import shielded

if TYPE_CHECKING:
    from carboy.app.interface import Application
    from carboy.app.plan import Plan

# Hooks are kept by the name of their blueprint, those of the application under None.
ONLY_APP = frozenset({None})
APP_NAMES: tuple[str | None, ...] = (None,)


def finish(
    app: Application,
    ctx: RequestContext,
    error: BaseException | None,
    preserve: Callable[[Any], object] | None,
) -> None:
    """Pop the contexts. The teardown functions get the error, unless it should be ignored."""
    if preserve is not None:  # a debugger or a test client reads them later
        preserve(_cv_app.get())
        preserve(_cv_request.get())
    if error is not None and app.should_ignore_error(error):
        error = None
    ctx.pop(error)


def finish_pushed(app: Application, plan: Plan, ctx: RequestContext, token: Any) -> None:
    """`ctx.pop(None)` in fewer steps, for a context that the cycle has pushed by one assignment.

    Unless a step of the application or a receiver of a signal about contexts takes part.
    """
    seen = signals.loaded and any(signals.of_contexts)
    if seen or plan.own_teardown or not plan.from_wire:
        ctx.pop(None)
        return
    try:
        if app.teardown_request_funcs:
            teardown(app, plan, ctx, None)
        if ctx._request is not None:
            release(ctx._request)
    finally:
        own: Any = ctx._app_ctx
        active = ctx
        if ctx._tokens is not None or _cv.get() is not ctx:  # a function has pushed a context
            if ctx._tokens is None:
                ctx._tokens = [(Token(None, None), ctx.app_ctx)]
            active, own = ctx._leave(last=True)
            own.pop(None)
        elif app.teardown_appcontext_funcs:
            _pop_app(app, ctx.app_ctx, token)
        else:
            if own is not None:
                own._cv_tokens.clear()
            _cv.reset(token)
    if active is not ctx:
        raise _wrong_order(active, ctx)


def _pop_app(app: Application, own: AppContext, token: Any) -> None:
    """`own.pop(None)`, for the application context of `finish_pushed`."""
    frame = Frame(own, None)
    _cv.set(frame)
    try:
        teardown_app(app, None)
    finally:
        active: AppContext | None = own
        if _cv.get() is not frame:  # a function has pushed a context
            active = _cv_app.get(None)
        own._cv_tokens.clear()
        _cv.reset(token)
    if active is not own:
        raise _wrong_order(active, own)


# The teardown functions run to their end.
shielded.update((finish.__code__, finish_pushed.__code__, _pop_app.__code__))


def teardown(app: Application, plan: Plan, ctx: RequestContext, exc: BaseException | None) -> None:
    """Run the teardown functions of a request, the last registered first."""
    if hooks := app.teardown_request_funcs:
        for name in APP_NAMES if hooks.keys() <= ONLY_APP else plan.hook_names(ctx):
            if found := hooks.get(name):
                for hook in reversed(plan.callables(app, plan.teardown, name, found)):
                    hook(exc)
    signals.send_async("request_tearing_down", app, exc=exc)


def teardown_app(app: Application, exc: BaseException | None) -> None:
    """Run the teardown functions of an application context, the last registered first."""
    if found := app.teardown_appcontext_funcs:
        plan: Any = app._plan
        for function in reversed(plan.callables(app, plan.teardown_app, None, found)):
            function(exc)
    signals.send_async("appcontext_tearing_down", app, exc=exc)
