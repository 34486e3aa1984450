"""The parts of the request cycle that a WebSocket has: hooks at the handshake, and the teardown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.app.cycle import process
from carboy.app.plan import plan_of
from carboy.app.teardown import finish

if TYPE_CHECKING:
    from carboy.app.context import RequestContext
    from carboy.app.interface import Application

OF_CONTENT = {"content-length", "content-type"}
SWITCHING = 101


def handshake_fields(app: Application, ctx: RequestContext) -> list[tuple[str, str]]:
    """The header fields that the hooks after the view give the response 101, with the session."""
    plan = plan_of(app)
    response = app.response_class(status=SWITCHING)
    if plan.process_response:
        response = app.process_response(response)
    else:
        response = process(app, plan, ctx, response)
    _mark_as_saved(ctx._opened)
    return [(name, value) for name, value in response.headers if name.lower() not in OF_CONTENT]


def end_without_response(
    app: Application, ctx: RequestContext, error: BaseException | None
) -> None:
    """Pop the contexts of a request: the teardown functions get the error."""
    if getattr(ctx._opened, "modified", False):
        app.logger.warning(
            "The session was changed after the WebSocket of %s was accepted, and is not saved."
            " Change it before the handler first receives or sends.",
            ctx.request.path,
        )
    finish(app, ctx, error, None)


def _mark_as_saved(session: Any) -> None:
    """Have later changes of a session noticed."""
    if getattr(session, "modified", False):
        session.modified = False
