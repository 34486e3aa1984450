"""Functions for views: responses, URLs, files, messages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import update_wrapper
from typing import IO, TYPE_CHECKING, Any, NoReturn

from carboy.app import quick_urls, signals
from carboy.app.context import _cv_app, _cv_request
from carboy.app.globals import current_app, request, session
from carboy.app.packages import get_root_path
from carboy.http.exceptions import abort as _abort
from carboy.http.response import sending
from carboy.http.response.redirects import redirect as _redirect

if TYPE_CHECKING:
    from carboy.app.context import AppContext, RequestContext
    from carboy.app.wrappers import Response
    from carboy.http.response.response import Response as BaseResponse

__all__ = [
    "abort",
    "flash",
    "get_debug_flag",
    "get_flashed_messages",
    "get_load_dotenv",
    "get_root_path",
    "get_template_attribute",
    "make_response",
    "redirect",
    "send_file",
    "send_from_directory",
    "stream_with_context",
    "url_for",
]

NO = {"0", "false", "no"}


def get_debug_flag() -> bool:
    """Whether CARBOY_DEBUG, or else FLASK_DEBUG, turns on debug mode."""
    value = os.environ.get("CARBOY_DEBUG") or os.environ.get("FLASK_DEBUG")
    return bool(value and value.lower() not in NO)


def get_load_dotenv(default: bool = True) -> bool:
    """Whether .env files are read: not if CARBOY_SKIP_DOTENV or FLASK_SKIP_DOTENV is set."""
    value = os.environ.get("CARBOY_SKIP_DOTENV") or os.environ.get("FLASK_SKIP_DOTENV")
    if not value:
        return default
    return value.lower() in NO


def stream_with_context(generator_or_function: Any) -> Any:
    """Keep the current contexts for a generator that runs after the view has returned.

    Pass an iterator, or decorate a generator function. Raises RuntimeError if no request is
    active; for a generator function, when that is called. An async iterator has the contexts
    anyway, and is returned as it is.
    """
    source: Any = generator_or_function
    later = hasattr(source, "__aiter__")
    try:
        source = source if later else iter(source)
    except TypeError:

        def decorated(*args: Any, **kwargs: Any) -> Any:
            return stream_with_context(generator_or_function(*args, **kwargs))

        return update_wrapper(decorated, generator_or_function)
    request_ctx = _cv_request.get(None)
    if request_ctx is None:
        raise RuntimeError(
            "'stream_with_context' can only be used when a request context is active. Call"
            " it in a view, before the generator runs."
        )
    if later:
        return source
    return _in_context(source, _cv_app.get(), request_ctx)


def _in_context(
    source: Iterator[Any], app_ctx: AppContext, request_ctx: RequestContext
) -> Iterator[Any]:
    # Pushed again, because the cycle pops its contexts before the stream is read.
    with app_ctx, request_ctx:
        try:
            yield from source
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()


def make_response(*args: Any) -> Response:
    """The response for a return value of a view, for example to set headers."""
    if not args:
        return current_app.response_class()
    return current_app.make_response(args[0] if len(args) == 1 else args)


def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: Any,
) -> str:
    """The URL of an endpoint; see the application's method of this name."""
    if _anchor is None and _method is None and _scheme is None and not _external:
        path = quick_urls.path_here(endpoint, values)
        if path is not None:
            return path
    return current_app.url_for(
        endpoint,
        _anchor=_anchor,
        _method=_method,
        _scheme=_scheme,
        _external=_external,
        **values,
    )


def redirect(
    location: str, code: int = 302, Response: type[BaseResponse] | None = None
) -> BaseResponse:
    """A redirect, by the `redirect` method of the active application if there is one."""
    if current_app:
        return current_app.redirect(location, code=code)
    return _redirect(location, code=code, Response=Response)


def abort(code: int | BaseResponse, *args: Any, **kwargs: Any) -> NoReturn:
    """Raise the HTTP exception of a status code, by the aborter of the active application."""
    if current_app:
        current_app.aborter(code, *args, **kwargs)
    _abort(code, *args, **kwargs)


def get_template_attribute(template_name: str, attribute: str) -> Any:
    """A macro or variable that a template defines."""
    return getattr(current_app.jinja_env.get_template(template_name).module, attribute)


def flash(message: str, category: str = "message") -> None:
    """Keep a message in the session until a template shows it."""
    # Set again, because the session does not notice a change inside the list.
    flashes = session.get("_flashes", [])
    flashes.append((category, message))
    session["_flashes"] = flashes
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    signals.send_async("message_flashed", app, message=message, category=category)


def get_flashed_messages(
    with_categories: bool = False, category_filter: Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Remove and return the messages of the session; the same messages in all of a request."""
    ctx: Any = _cv_request.get(None)
    flashes: Any = None if ctx is None else ctx.flashes
    if flashes is None:
        flashes = session.pop("_flashes") if "_flashes" in session else []
        ctx.flashes = flashes
    wanted = list(category_filter)
    if wanted:
        flashes = [flash for flash in flashes if flash[0] in wanted]
    return flashes if with_categories else [message for _, message in flashes]


def _file_options(options: dict[str, Any]) -> dict[str, Any]:
    if options.get("max_age") is None:
        options["max_age"] = current_app.get_send_file_max_age
    options.update(
        environ=request.environ,
        use_x_sendfile=current_app.config["USE_X_SENDFILE"],
        response_class=current_app.response_class,
        _root_path=current_app.root_path,
    )
    return options


def send_file(
    path_or_file: str | os.PathLike[str] | IO[bytes],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: Any = None,
    max_age: int | Callable[[str | None], int | None] | None = None,
) -> Response:
    """A file as a response; a relative path is relative to the root path of the application.

    Never pass a path that a client sent. Use `send_from_directory` for such paths.
    """
    options = _file_options(
        {
            "mimetype": mimetype,
            "as_attachment": as_attachment,
            "download_name": download_name,
            "conditional": conditional,
            "etag": etag,
            "last_modified": last_modified,
            "max_age": max_age,
        }
    )
    return sending.send_file(path_or_file, **options)  # type: ignore[no-any-return]


def send_from_directory(
    directory: str | os.PathLike[str], path: str | os.PathLike[str], **kwargs: Any
) -> Response:
    """A file below a directory as a response; 404 for a path that is not a file there."""
    options = _file_options(kwargs)
    return sending.send_from_directory(directory, path, **options)  # type: ignore[no-any-return]


# --- for applications and blueprints -----------------------------------------------------


def folder_max_age() -> int | None:
    """SEND_FILE_MAX_AGE_DEFAULT in seconds."""
    value = current_app.config["SEND_FILE_MAX_AGE_DEFAULT"]
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    return value  # type: ignore[no-any-return]


def serve_static(owner: Any, filename: str) -> Response:
    """A file of the static folder of `owner`."""
    if not owner.has_static_folder:
        raise RuntimeError(
            "'static_folder' must be set to serve static files. Pass it to the constructor."
        )
    # The method of the owner, which a subclass may have overridden.
    max_age = owner.get_send_file_max_age(filename)
    return send_from_directory(owner.static_folder, filename, max_age=max_age)


def open_in_folder(folder: str, resource: str, mode: str, encoding: str | None) -> IO[Any]:
    """Open a file of a folder for reading."""
    if mode not in {"r", "rt", "rb"}:
        raise ValueError(
            f"Resources can only be opened for reading: use the mode 'r' or 'rb', not {mode!r}."
        )
    path = os.path.join(folder, resource)  # noqa: PTH118 — a relative root path stays one
    return open(path, mode, encoding=None if mode == "rb" else encoding)  # noqa: PTH123
