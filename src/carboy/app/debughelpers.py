"""Errors and log lines that in debug mode say what is probably wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.app.globals import request_ctx

if TYPE_CHECKING:
    from carboy.app.app import Carboy
    from carboy.app.wrappers import Request

__all__ = [
    "DebugFilesKeyError",
    "FormDataRoutingRedirect",
    "UnexpectedUnicodeError",
    "attach_enctype_error_multidict",
    "explain_template_loading_attempts",
]


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Text where octets were needed, or the other way round."""


class DebugFilesKeyError(KeyError, AssertionError):
    """A file was looked for in a form that cannot send files."""

    def __init__(self, request: Request, key: str) -> None:
        sent = ", ".join(repr(name) for name in request.form.getlist(key))
        self.msg = (
            f"You tried to access the file {key!r}, but it does not exist in this request. The"
            f" mimetype for the request is {request.mimetype!r}, so no file contents were"
            ' transmitted. Give the form enctype="multipart/form-data".'
        )
        if sent:
            self.msg += (
                f" The browser instead transmitted some file names. This was submitted: {sent}."
            )
        super().__init__(self.msg)

    def __str__(self) -> str:
        return self.msg


class FormDataRoutingRedirect(AssertionError):
    """A redirect would lose the content of a request; raised in debug mode only."""

    def __init__(self, request: Request) -> None:
        exc: Any = request.routing_exception
        text = (
            f"A request was sent to {request.url!r}, but routing issued a redirect to the"
            f" canonical URL {exc.new_url!r}, and clients will drop the content of a"
            f" {request.method} on the way."
        )
        if f"{request.base_url}/" == exc.new_url.partition("?")[0]:
            text += " The URL was defined with a trailing slash, and this one has none."
        text += " Send requests to the canonical URL. This error is raised in debug mode only."
        super().__init__(text)


def attach_enctype_error_multidict(request: Request) -> None:
    """Let `request.files[name]` explain itself when the form was sent without files."""
    kind = type(request.files)

    class Explaining(kind):  # type: ignore[valid-type,misc]
        def __getitem__(self, key: str) -> Any:
            try:
                return super().__getitem__(key)
            except KeyError as error:
                if key not in request.form:
                    raise
                raise DebugFilesKeyError(request, key).with_traceback(error.__traceback__) from None

    Explaining.__name__ = kind.__name__
    Explaining.__module__ = kind.__module__
    request.files.__class__ = Explaining


def _describe(loader: Any) -> str:
    lines = [f"class: {type(loader).__module__}.{type(loader).__name__}"]
    for name, value in sorted(loader.__dict__.items()):
        if name.startswith("_"):
            continue
        if isinstance(value, tuple | list):
            if all(isinstance(item, str) for item in value):
                lines.append(f"{name}:")
                lines.extend(f"  - {item}" for item in value)
        elif isinstance(value, str | int | float | bool):
            lines.append(f"{name}: {value!r}")
    return "\n".join(f"       {line}" for line in lines)


def _outcome(result: Any) -> str:
    return f"found ({result[1] or '<string>'!r})" if result else "no match"


def explain_template_loading_attempts(
    app: Carboy, template: str, attempts: list[tuple[Any, Any, Any]]
) -> None:
    """Log which loaders were asked for a template and what each of them found."""
    lines = [f"Locating template {template!r}:"]
    found = 0
    for number, (loader, source, result) in enumerate(attempts, start=1):
        kind = "application" if source is app else "blueprint"
        origin = repr(app.name) if source is app else f"{source.name!r} ({source.import_name})"
        lines.append(f"{number:5}: trying loader of {kind} {origin}")
        lines.append(_describe(loader))
        lines.append(f"       -> {_outcome(result)}")
        found += result is not None
    if found != 1:
        lines.append(
            "Error: the template could not be found: no loader has it."
            if not found
            else "Warning: multiple loaders returned a match, and the first wins."
        )
        ctx = request_ctx
        if ctx and ctx.request.blueprint is not None:
            lines.append(
                "  The template was looked up from an endpoint that belongs to the blueprint"
                f" {ctx.request.blueprint!r}. Is it in the folder of another blueprint?"
                "\n  See https://flask.palletsprojects.com/blueprints/#templates"
            )
    app.logger.info("\n".join(lines))
