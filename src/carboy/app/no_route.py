"""Requests that no rule matches, answered without an exception and without contexts.

The result is that of the request cycle, byte for byte (tests/app/test_no_route.py). The cycle runs
whenever anything of the application could take part: a hook, an error handler, a teardown function,
a receiver of a signal, a session that may have to be sent again, or a replaced step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.app import signals
from carboy.app.returns import is_own_page, page_of
from carboy.http.exceptions import MethodNotAllowed, NotFound

if TYPE_CHECKING:
    from carboy.app.interface import Application
    from carboy.app.plan import Plan
    from carboy.app.returns import WholeAnswer
    from carboy.routing.trie import Search

NO_TABLE: dict[Any, Any] = {}


def answer(
    app: Application, plan: Plan, search: Search, method: str, origin: Any
) -> WholeAnswer | None:
    """The answer of 404 or 405 to an exchange or an environ; None if the cycle has to run."""
    if (
        not plan.stock_errors
        or search.rule is not None
        or search.other_path is not None
        or search.mismatch
        or _is_observed(app, plan)
        or (plan.config["SECRET_KEY"] is not None and _may_have_session(plan, origin))
    ):
        return None
    kind = MethodNotAllowed if search.allowed else NotFound
    own = app.error_handler_spec.get(None, NO_TABLE)
    if own and (own.get(kind.code) or own.get(None)):
        return None
    if kind is NotFound and (made := missing_of(plan)) is not None:
        status, fields, body, _ = made
        return status, list(fields), b"" if method == "HEAD" else body, None
    error: MethodNotAllowed | NotFound
    error = MethodNotAllowed(valid_methods=list(search.allowed)) if search.allowed else NotFound()
    return page_of(plan, method, error) if is_own_page(error) else None


def missing_of(plan: Plan) -> WholeAnswer | None:
    """The answer of 404 to a GET, whose fields are to be copied; None if it may change."""
    if plan.missing is None and plan.fixed_missing and is_own_page(error := NotFound()):
        plan.missing = page_of(plan, "GET", error)
    return plan.missing


def _is_observed(app: Application, plan: Plan) -> bool:
    """Whether code of the application runs for a request without a rule, or would see its error."""
    hooks = app.before_request_funcs
    after = app.after_request_funcs
    teardown = app.teardown_request_funcs
    changes = app.url_value_preprocessors
    config = plan.config
    return bool(
        (hooks and hooks.get(None))
        or (after and after.get(None))
        or (teardown and teardown.get(None))
        or (changes and changes.get(None))
        or app.teardown_appcontext_funcs
        or config["TRAP_HTTP_EXCEPTIONS"]
        or (
            signals.loaded
            and (
                signals.request_started.receivers
                or signals.request_finished.receivers
                or any(signals.of_contexts)
            )
        )
        or not app._got_first_request
    )


def _may_have_session(plan: Plan, origin: Any) -> bool:
    """Whether the request has a session cookie: the session may have to be sent again."""
    name: str = plan.config["SESSION_COOKIE_NAME"]
    if origin.__class__ is dict:
        return name in origin.get("HTTP_COOKIE", "")
    return f"{name}=".encode() in origin.head.block
