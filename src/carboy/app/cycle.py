"""The request cycle: one request from the server to the answer, in the order of this file.

    prepare (direct lane)     the URL is matched, which gives the dispatch key
    handle (direct lane)      the contexts are made
    wsgi (WSGI lane)          the contexts are made
      run                     the contexts are pushed
        return_value
          preprocess          URL value preprocessors and before_request functions
          call_view           the view
          handle_error        the error handler, if one of these raised (errors.py)
        answer_of             a small page is answered without a Response; otherwise:
          finalize
            make_response     the return value becomes a Response (returns.py)
            process           after_request functions; the session is saved (sessions.py)
        handle_exception      the 500 for an error without a handler (errors.py)
        finish                the contexts are popped: teardown functions (teardown.py)

The lanes differ only in how the context is made and how the answer is sent. Each step is also a
method of the application. A step that the application has replaced is called as a method (see
`plan`), the other steps are called as functions. The open tables (hooks, views, configuration) are
read at each request, because applications and extensions can change them at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from carboy.app import no_route, signals, static_lane
from carboy.app.active import Suspended, _cv
from carboy.app.async_body import may_answer_later
from carboy.app.context import RequestContext, _cv_request, release
from carboy.app.errors import UNHANDLED, called, handle_error, raise_routing
from carboy.app.plan import NO_HOST, NO_RULE, Plan, plan_of
from carboy.app.returns import is_own_page, make_response, page_of
from carboy.app.sending import send
from carboy.app.sessions import session_to_refresh
from carboy.app.teardown import APP_NAMES, ONLY_APP, finish, finish_pushed
from carboy.http.exceptions import ServiceUnavailable
from carboy.http.request.environ import path as environ_path
from carboy.http.request.exchange import path as wire_path
from carboy.http.status import has_no_content, status_text
from carboy.time_limits import RequestTimeout

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from carboy.app.interface import Application
    from carboy.app.wrappers import Response
    from carboy.gateway.interface import Answer, Exchange

NOT_RESUMED: tuple[Any, Any] = (None, None)
HTML = ("Content-Type", "text/html; charset=utf-8")
# Made once, because the server remembers the header fields that it has checked.
COUNTED = 1024
LENGTHS = [("Content-Length", str(size)) for size in range(COUNTED)]
FINALIZING_FAILED = (
    "Request finalizing failed with an error: a hook raised on the response of an error handler"
)
_new_context = RequestContext.__new__


# --- the two lanes ---------------------------------------------------------------------


def ready(app: Application) -> bool:
    """Whether the direct lane is open: nothing wraps the application.

    The server asks once per turn. Everything that the plan depends on may have been patched.
    """
    return plan_of(app).direct


def body_limit(app: Application, exchange: Exchange) -> int | None:
    """None: the server applies its own limit to the content that it receives.

    Content of undeclared length may turn out to be larger than MAX_CONTENT_LENGTH. The view, or
    the handler of 413, answers then.
    """
    return None


def wants_stream(app: Application, exchange: Exchange) -> bool:
    """Whether the declared content exceeds MAX_CONTENT_LENGTH: the server does not receive it.

    The view runs all the same, because Flask raises the 413 where the view reads the content,
    unless the view has raised the limit.
    """
    limit = app.config["MAX_CONTENT_LENGTH"]
    return limit is not None and (exchange.head.content_length or 0) > limit


def prepare(app: Application, exchange: Exchange) -> Hashable:
    """Match the URL for `handle`. Returns the dispatch key: the rule, or NO_HOST or NO_RULE.

    Runs no code of the application, and returns None where only such code could find the rule.
    """
    plan = app._plan_made or plan_of(app)
    head = exchange.head
    if not (plan.matches_early and head.path) or head.upgrade:
        return None  # an empty path, the prefix of a mounted application, is redirected
    if plan.config["TRUSTED_HOSTS"] != plan.trusted:
        plan.forget_hosts()
    domain = plan.domains.get(head.host) if plan.plain_urls else None
    if domain is None:
        domain = plan.domain_of(app, exchange)
        if domain is None:
            return NO_HOST
    path = head.path
    if "%" in path or not path.isascii():
        path = wire_path(exchange)
    if plan.plain_urls:
        found = plan.find(head.method, path)
        if found is not None:
            exchange.match = found
            return found[0]._key  # type: ignore[no-any-return]
    search = app.url_map.search(domain, head.method.upper(), f"/{path.lstrip('/')}")
    exchange.match = search
    return NO_RULE if search.rule is None else search.rule._key


def handle(
    app: Application, exchange: Exchange, preserve: Callable[[Any], object] | None = None
) -> Answer:
    """Answer a request of the direct lane. No environ is built unless something asks for it.

    `preserve` is called with both contexts before they are popped.
    """
    plan = app._plan_made or plan_of(app)
    static: Any = None  # the rule, if it may be that of a static folder
    if plan.own_contexts:
        ctx = app.request_context(exchange.environ())
    else:
        match = exchange.match
        if match.__class__ is tuple and "filename" in match[1] and preserve is None:
            static = match[0]
            made = static_lane.answer(app, plan, exchange, static)
            if made is not None:
                return made
        elif match is not None and match.__class__ is not tuple and preserve is None:
            made = no_route.answer(app, plan, match, exchange.head.method, exchange)
            if made is not None:
                return made
        ctx = _new_context(RequestContext)
        ctx.app = app
        ctx.match = ctx._after = ctx._opened = ctx._tokens = ctx._request = ctx._app_ctx = None
        ctx.exchange = exchange
        ctx.method = exchange.head.method
        if match.__class__ is tuple:
            ctx.match = match
        else:
            ctx.search = match
        if not plan.from_wire:
            ctx.request = ctx._request = app.request_class(exchange.environ())
        if match is None:
            ctx.make_adapter()
        if plan.awaits and plan.may_step and preserve is None and may_answer_later(exchange):
            return app._run_stepwise(plan, ctx, exchange)  # type: ignore[no-any-return]
    answer: Answer = run(app, plan, ctx, exchange, None, preserve)
    if static is not None:
        static_lane.learn(app, plan, exchange, static, answer)
    return answer


def wsgi(
    app: Application, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """`app.wsgi_app`: answer a request of the WSGI lane."""
    plan = plan_of(app)
    if plan.own_contexts:
        ctx = app.request_context(environ)
    else:
        ctx = _new_context(RequestContext)
        ctx.app = app
        ctx.match = ctx._after = ctx._opened = ctx._tokens = ctx._request = ctx._app_ctx = None
        ctx.exchange, ctx.environ = None, environ
        ctx.method = method = environ["REQUEST_METHOD"].upper()
        if not plan.from_wire:
            ctx.request = ctx._request = app.request_class(environ)
        elif plan.plain_urls and plan.can_match(environ):
            path = environ_path(environ)
            ctx.match = plan.find(method, path)
            if ctx.match is None:
                ctx.search = app.url_map.search(app.url_map.default_subdomain, method, path)
            exchange = environ.get("carboy.exchange")
            if exchange is not None:
                exchange.match = ctx.match or ctx.search  # for the route of its record
            if ctx.search is not None and "werkzeug.debug.preserve_context" not in environ:
                made = no_route.answer(app, plan, ctx.search, method, environ)
                if made is not None:
                    start_response(made[0], made[1])
                    return [made[2]]
        if ctx.match is None and ctx.search is None:
            ctx.make_adapter()
    preserve = environ.get("werkzeug.debug.preserve_context")
    return run(app, plan, ctx, environ, start_response, preserve)  # type: ignore[no-any-return]


def run(
    app: Application,
    plan: Plan,
    ctx: RequestContext,
    origin: Any,
    start_response: StartResponse | None,
    preserve: Callable[[Any], object] | None,
    resumed: Any = None,  # the token, and a function with the result of a view that was awaited
) -> Any:
    """Answer the request of `ctx`. Returns the body for an environ, an Answer for an exchange."""
    token, result = resumed or NOT_RESUMED
    found = None
    error: BaseException | None = None
    try:
        try:
            # One object is both contexts and is pushed by one assignment, unless that is seen.
            seen = plan.full_push or (signals.loaded and any(signals.of_contexts))
            if resumed is None and (seen or _cv.get() is not None):
                ctx.push()
            elif resumed is None:
                token = _cv.set(ctx)
                if plan.early_session:
                    ctx.open_session_early()
                if ctx.match is None or ctx._request is not None:
                    ctx.match_request()
            if plan.full_dispatch_request and result is None:
                found = app.full_dispatch_request()
            else:
                found = answer_of(app, plan, ctx, return_value(app, plan, ctx, result))
        except Exception as failure:
            error = failure
            found = app.handle_exception(failure)
        if found.__class__ is not tuple:
            return send(found, origin, start_response, ctx)
        if start_response is None:
            return found
        start_response(found[0], found[1])
        return [found[2]]
    except Suspended as raised:
        error = raised
        return raised.later(origin, partial(_resume, app, ctx, token), start_response)
    except BaseException as raised:
        if error is None and found is None:  # the first error, and none of sending the response
            error = raised
        if not isinstance(raised, RequestTimeout):
            raise
        return send(_late_response(app, plan, ctx), origin, start_response, ctx)
    finally:
        plain = token is not None and error is None and preserve is None and ctx._tokens is None
        if not plain:
            if error.__class__ is not Suspended:  # or the contexts are current again later
                finish(app, ctx, error, preserve)
        elif app.teardown_request_funcs or app.teardown_appcontext_funcs or plan.own_teardown:
            finish_pushed(app, plan, ctx, token)
        else:
            if ctx._request is not None:
                release(ctx._request)
            if ctx._app_ctx is not None:
                ctx._app_ctx._cv_tokens.clear()
            _cv.reset(token)


def _resume(
    app: Application, ctx: RequestContext, token: Any, result: Callable[[], Any], exchange: Exchange
) -> Any:
    return run(app, plan_of(app), ctx, exchange, None, None, (token, result))


def _late_response(app: Application, plan: Plan, ctx: RequestContext) -> Response:
    """The response to a request over its time limit: the hooks and the session see it as a 503.

    The server has answered the client already, or sends this response.
    """
    if plan.finalize_request:
        return app.finalize_request(ServiceUnavailable(), from_error_handler=True)
    return finalize(app, plan, ctx, ServiceUnavailable(), from_error_handler=True)


# --- the steps -------------------------------------------------------------------------


def current(app: Application) -> tuple[Plan, RequestContext]:
    """The plan and context of the current request, for steps that are called as methods."""
    return app._plan_made or plan_of(app), _cv_request()


def return_value(
    app: Application, plan: Plan, ctx: RequestContext, result: Callable[[], Any] | None = None
) -> Any:
    """The value that a hook, the view or an error handler returns; `result`: of a resumed view.

    Raises an error that has no handler.
    """
    if not app._got_first_request:
        app.__dict__["_got_first_request"] = True
    try:
        if result is not None:
            return result()
        if signals.loaded and signals.request_started.receivers:
            signals.send_async("request_started", app)
        rv: Any = None
        if plan.preprocess_request:
            rv = app.preprocess_request()
        elif app.before_request_funcs or app.url_value_preprocessors:
            rv = preprocess(app, plan, ctx)
        if rv is None:
            rv = app.dispatch_request() if plan.dispatch_request else call_view(app, plan, ctx)
    except Exception as error:
        if plan.handle_user_exception:
            rv = app.handle_user_exception(error)
        else:
            rv = handle_error(app, plan, ctx, error)
        if rv is UNHANDLED:
            raise  # here, because this adds no line to the traceback
    return rv


def preprocess(app: Application, plan: Plan, ctx: RequestContext) -> Any:
    """Run the hooks before the view: the application's, then the blueprints' from outside in."""
    changes, hooks = app.url_value_preprocessors, app.before_request_funcs
    names = APP_NAMES
    if not (changes.keys() | hooks.keys()) <= ONLY_APP:
        names = plan.hook_names(ctx)[::-1]
    if changes:
        request = ctx.request
        for name in names:
            for change in changes.get(name, ()):
                change(request.endpoint, request.view_args)
    for name in names:
        if found := hooks.get(name):
            known = plan.before.get(name)
            if known is None or known[0] != found:
                known = plan.learn_hooks(app, plan.before, name, found)
            for hook in known[1]:
                rv = hook()
                if rv is not None:
                    return rv
    return None


def call_view(app: Application, plan: Plan, ctx: RequestContext) -> Any:
    """Call the view of the rule that matched, or raise the error of URL matching."""
    rule: Any
    values: Any
    if ctx._request is None:  # no code has read or changed the request yet
        rule, values = ctx.match  # type: ignore[misc]
    else:
        request = ctx.request
        if request.routing_exception is not None:
            if plan.raise_routing_exception:
                app.raise_routing_exception(request)
            else:
                raise_routing(app, request)
        rule, values = request.url_rule, request.view_args
    if ctx.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return app.make_default_options_response()
    endpoint = rule.endpoint
    view = app.view_functions[endpoint]
    known = plan.views.get(endpoint)
    if known is None or known[0] is not view:
        known = plan.learn_view(app, endpoint, view)
    # A call with ** costs more than a whole small view.
    return known[1](**values) if values else known[1]()


def options_response(app: Application, ctx: RequestContext) -> Response:
    """The response to OPTIONS: the methods that this URL allows."""
    response = app.response_class()
    adapter = ctx.url_adapter
    response.allow.update(() if adapter is None else adapter.allowed_methods())
    return response


def answer_of(app: Application, plan: Plan, ctx: RequestContext, rv: Any) -> Any:
    """The answer for a return value: a Response, or a tuple of status, header fields and body.

    A Response is made only if a hook, a receiver or the session has to see it, or if the value
    needs one.
    """
    config = plan.config
    if (
        plan.own_responses
        or app.after_request_funcs
        or ctx._after is not None
        or ctx._opened is not None
        or (signals.loaded and signals.request_finished.receivers)
        or (
            (config["SECRET_KEY"] is not None or plan.keyless_sessions)
            and session_to_refresh(app, ctx)
        )
    ):
        if plan.finalize_request:
            return app.finalize_request(rv)
        return finalize(app, plan, ctx, rv)
    status, value, kind = "200 OK", rv, rv.__class__
    if kind is tuple and len(rv) == 2 and rv[1].__class__ is int:
        code = rv[1]
        if 200 <= code < 600 and not has_no_content(code):
            status, value = status_text(code), rv[0]
            kind = value.__class__
    content_type = HTML
    if kind is str and kind in plan.plain_types:
        body = value.encode()
    elif kind is bytes and kind in plan.plain_types:
        body = value
    elif kind in plan.plain_types:
        provider: Any = app.json
        body = f"{provider.dumps_compact(value, config['DEBUG'])}\n".encode()
        content_type = ("Content-Type", provider.mimetype)
    elif plan.error_pages and is_own_page(rv):
        return page_of(plan, ctx.method, rv)
    else:
        return rv if rv.__class__ is app.response_class else make_response(app, rv)
    size = len(body)
    length = LENGTHS[size] if size < COUNTED else ("Content-Length", str(size))
    if ctx.method == "HEAD":
        body = b""
    return status, [content_type, length], body, None


def finalize(
    app: Application, plan: Plan, ctx: RequestContext, rv: Any, from_error_handler: bool = False
) -> Response:
    """Make the response and run the hooks after the view."""
    response = app.make_response(rv) if plan.make_response else make_response(app, rv)
    try:
        if plan.process_response:
            response = app.process_response(response)
        else:
            response = process(app, plan, ctx, response)
        if signals.loaded and signals.request_finished.receivers:
            signals.send_async("request_finished", app, response=response)
    except Exception:
        if not from_error_handler:
            raise
        app.logger.exception(FINALIZING_FAILED)
    return response


def process(app: Application, plan: Plan, ctx: RequestContext, response: Response) -> Response:
    """Run the hooks after the view, and save the session.

    First the hooks of this request, then the blueprints' from inside out, then the application's.
    """
    for hook in ctx._after or ():
        response = called(app, plan, hook)(response)
    if hooks := app.after_request_funcs:
        for name in APP_NAMES if hooks.keys() <= ONLY_APP else plan.hook_names(ctx):
            if found := hooks.get(name):
                known = plan.after.get(name)
                if known is None or known[0] != found:
                    known = plan.learn_hooks(app, plan.after, name, found)
                for hook in reversed(known[1]):
                    response = hook(response)
    if ctx._opened is not None or plan.config["SECRET_KEY"] is not None or plan.keyless_sessions:
        save_session(app, ctx, response)
    return response


def save_session(app: Application, ctx: RequestContext, response: Response) -> None:
    """Save the session if it was opened or has to be refreshed; called if there may be one."""
    if ctx._opened is not None or session_to_refresh(app, ctx):
        session: Any = ctx._open_session() if ctx._opened is None else ctx._opened
        if not app.session_interface.is_null_session(session):
            app.session_interface.save_session(app, session, response)
