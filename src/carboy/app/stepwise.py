"""The request cycle of an application with coroutine functions as hooks or handlers.

It is `cycle.run` of the direct lane as a generator: each coroutine function is yielded as a call,
and the cycle continues when it has been awaited. So no thread waits, as for a view that is a
coroutine function. The order of the steps, and what each step does, are those of cycle.py; the
tests run each of their scenarios through both.

`Plan.awaits` says that an application has such functions. It is set when the first of them is
about to be called, so the first request may still hold a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from carboy.app import cycle, signals
from carboy.app.active import Suspended
from carboy.app.context import _wrong_order
from carboy.app.errors import UNHANDLED, handler_of, unhandled
from carboy.app.returns import make_response
from carboy.app.sending import send
from carboy.http.exceptions import ServiceUnavailable
from carboy.time_limits import RequestTimeout

if TYPE_CHECKING:
    from carboy.app.context import RequestContext
    from carboy.app.interface import Application
    from carboy.app.plan import Plan
    from carboy.app.wrappers import Response
    from carboy.gateway.interface import Answer, Exchange

# Yields calls of coroutine functions, and is sent functions that give their results.
Steps = Generator[Any, Callable[[], Any], Any]


def run(app: Application, plan: Plan, ctx: RequestContext, exchange: Exchange) -> Answer:
    """Answer the request of `ctx`, later if a coroutine function is called."""
    return Stepwise(_answer(app, plan, ctx, exchange)).advance(None, exchange)


class Stepwise:
    """One request on its way through the steps."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def advance(self, result: Any, exchange: Any) -> Answer:
        """Run the steps up to the next call of a coroutine function, or to the answer."""
        try:
            call = self._steps.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer: Answer = call.later(exchange, self.advance)
        return answer


def _answer(app: Application, plan: Plan, ctx: RequestContext, exchange: Exchange) -> Steps:
    error: BaseException | None = None
    try:
        try:
            ctx.push()
            rv = yield from _return_value(app, plan, ctx)
            found = yield from _finalize(app, plan, ctx, rv)
        except Exception as failure:
            error = failure
            handler, answer = unhandled(app, failure)
            if handler is not None:
                answer = yield from _called(app, handler, answer)
            found = yield from _finalize(app, plan, ctx, answer, from_error_handler=True)
        except RequestTimeout as late:
            error = late
            rv = ServiceUnavailable()
            found = yield from _finalize(app, plan, ctx, rv, from_error_handler=True)
        return send(found, exchange, None, ctx)
    except BaseException as raised:
        error = raised
        raise
    finally:
        # The server may have ended, and then nothing can be awaited.
        if not isinstance(error, GeneratorExit):
            yield from _finish(app, plan, ctx, error)


def _called(app: Application, function: Callable[..., Any], *args: Any) -> Steps:
    """Call a function, and await a coroutine function."""
    found = app.ensure_sync(function)
    try:
        return getattr(found, "suspending", found)(*args)
    except Suspended as suspended:
        call = suspended.call
    result = yield call
    return result()


def _return_value(app: Application, plan: Plan, ctx: RequestContext) -> Steps:
    """`cycle.return_value`."""
    if not app._got_first_request:
        app.__dict__["_got_first_request"] = True
    try:
        if signals.loaded and signals.request_started.receivers:
            signals.send_async("request_started", app)
        rv = yield from _preprocess(app, plan, ctx)
        if rv is None:
            call = None
            try:
                rv = cycle.call_view(app, plan, ctx)
            except Suspended as suspended:
                call = suspended.call
            if call is not None:
                result = yield call
                rv = result()
    except Exception as error:
        handler, rv = handler_of(app, plan, ctx, error)
        if handler is not None:
            rv = yield from _called(app, handler, error)
        if rv is UNHANDLED:
            raise
    return rv


def _preprocess(app: Application, plan: Plan, ctx: RequestContext) -> Steps:
    """`cycle.preprocess`."""
    names = plan.hook_names(ctx)[::-1]
    request = ctx.request
    for name in names:
        for change in app.url_value_preprocessors.get(name, ()):
            change(request.endpoint, request.view_args)
    for name in names:
        for hook in list(app.before_request_funcs.get(name, ())):
            rv = yield from _called(app, hook)
            if rv is not None:
                return rv
    return None


def _finalize(
    app: Application, plan: Plan, ctx: RequestContext, rv: Any, from_error_handler: bool = False
) -> Steps:
    """`cycle.finalize`."""
    if plan.finalize_request:
        return app.finalize_request(rv, from_error_handler)
    response = app.make_response(rv) if plan.make_response else make_response(app, rv)
    try:
        if plan.process_response:
            response = app.process_response(response)
        else:
            response = yield from _process(app, plan, ctx, response)
        if signals.loaded and signals.request_finished.receivers:
            signals.send_async("request_finished", app, response=response)
    except Exception:
        if not from_error_handler:
            raise
        app.logger.exception(cycle.FINALIZING_FAILED)
    return response


def _process(app: Application, plan: Plan, ctx: RequestContext, response: Response) -> Steps:
    """`cycle.process`."""
    for hook in ctx._after or ():
        response = yield from _called(app, hook, response)
    for name in plan.hook_names(ctx):
        for hook in reversed(list(app.after_request_funcs.get(name, ()))):
            response = yield from _called(app, hook, response)
    if ctx._opened is not None or plan.config["SECRET_KEY"] is not None or plan.keyless_sessions:
        cycle.save_session(app, ctx, response)
    return response


def _finish(
    app: Application, plan: Plan, ctx: RequestContext, error: BaseException | None
) -> Steps:
    """Pop the contexts, as RequestContext.pop and AppContext.pop do."""
    if error is not None and app.should_ignore_error(error):
        error = None
    if len(ctx._cv_tokens) != 1:  # something keeps them, such as a streamed response
        ctx.pop(error)
        return
    raised: BaseException | None = None
    try:
        for name in plan.hook_names(ctx):
            for hook in reversed(list(app.teardown_request_funcs.get(name, ()))):
                yield from _called(app, hook, error)
        signals.send_async("request_tearing_down", app, exc=error)
        if ctx._request is not None:
            ctx._request.close()
    except GeneratorExit:
        raise
    except BaseException as failure:
        raised = failure
    active, own = ctx._leave(last=True)
    if own is not None:
        try:
            for function in reversed(list(app.teardown_appcontext_funcs)):
                yield from _called(app, function, error)
            signals.send_async("appcontext_tearing_down", app, exc=error)
        except GeneratorExit:
            raise
        except BaseException as failure:
            raised = failure
        own._leave()
        signals.send_async("appcontext_popped", app)
    if raised is not None:
        raise raised
    if active is not ctx:
        raise _wrong_order(active, ctx)
