"""HTTP errors as exceptions. Each is also a WSGI application that answers with its error page.

HTTPException                    can be raised with a complete response
├── BadRequest 400
│   ├── BadRequestKeyError       also a KeyError, for a field that the client did not send
│   ├── ClientDisconnected       the body ended too early
│   ├── SecurityError            the request looks like an attack
│   └── BadHost                  the Host field is not a host
├── Unauthorized 401 … UnavailableForLegalReasons 451
└── InternalServerError 500 … HTTPVersionNotSupported 505

The texts of the pages are Werkzeug's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from carboy.dates import http_date
from carboy.http.status import HTTP_STATUS_CODES
from carboy.late import markupsafe

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def _environ_of(source: Any) -> WSGIEnvironment | None:
    """The environ of a request, or `source` if it is an environ."""
    found: WSGIEnvironment | None = getattr(source, "environ", source)
    return found


def _is_collection(value: Any) -> bool:
    """Whether there are several challenges. A single challenge is not iterable."""
    return hasattr(value, "__iter__")


class HTTPException(Exception):
    """An error with an HTTP status, and a WSGI application that answers with its page.

    `description` is the text of the page. `response` is a complete response to send instead of the
    page. Subclasses set `code`.
    """

    code: int | None = None
    description: str | None = None

    def __init__(self, description: str | None = None, response: Any = None) -> None:
        super().__init__()
        if description is not None:
            self.description = description
        self.response = response

    @property
    def name(self) -> str:
        """The reason phrase of `code`."""
        return HTTP_STATUS_CODES.get(self.code or 0, "Unknown Error")

    def get_description(self, environ: Any = None, scope: Any = None) -> str:
        """The description as HTML: escaped unless it is Markup, with `<br>` for line ends."""
        text = "" if self.description is None else self.description
        return f"<p>{markupsafe.escape(text).replace(chr(10), markupsafe.Markup('<br>'))}</p>"

    def get_body(self, environ: Any = None, scope: Any = None) -> str:
        """The whole page."""
        return (
            "<!doctype html>\n"
            "<html lang=en>\n"
            f"<title>{self.code} {markupsafe.escape(self.name)}</title>\n"
            f"<h1>{markupsafe.escape(self.name)}</h1>\n"
            f"{self.get_description(environ)}\n"
        )

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """The header fields of the page. Subclasses add fields."""
        return [("Content-Type", "text/html; charset=utf-8")]

    def get_response(self, environ: Any = None, scope: Any = None) -> Any:
        """The page as a Response, or the response that the exception was raised with."""
        if self.response is not None:
            return self.response
        environ = _environ_of(environ)
        from carboy.http.response.response import Response

        return Response(self.get_body(environ), self.code, self.get_headers(environ))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer: Iterable[bytes] = self.get_response(environ)(environ, start_response)
        return answer

    def __str__(self) -> str:
        code = "???" if self.code is None else self.code
        return f"{code} {self.name}: {self.description}"

    def __repr__(self) -> str:
        code = "???" if self.code is None else self.code
        return f"<{type(self).__name__} '{code}: {self.name}'>"


class BadRequest(HTTPException):
    code = 400
    description = "The browser (or proxy) sent a request that this server could not understand."


class BadRequestKeyError(BadRequest, KeyError):
    """A key is missing in the data of the request: a 400 response and a KeyError.

    With `show_exception` the page contains the key. It is off because keys are internal.
    """

    _description = BadRequest.description
    show_exception = False

    def __init__(self, arg: object | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if arg is not None:
            KeyError.__init__(self, arg)

    @property
    def description(self) -> str:
        if not self.show_exception:
            return str(self._description)
        return f"{self._description}\n{KeyError.__name__}: {KeyError.__str__(self)}"

    @description.setter
    def description(self, value: str) -> None:
        self._description = value


class ClientDisconnected(BadRequest):
    """The connection ended before the whole body was received."""


class SecurityError(BadRequest):
    """The request breaks a security rule, such as a host that is not trusted."""


class BadHost(BadRequest):
    """The Host field is not a valid host."""


class Unauthorized(HTTPException):
    code = 401
    description = (
        "The server could not verify that you are authorized to access the URL requested. You"
        " either supplied the wrong credentials (e.g. a bad password), or your browser "
        "doesn't understand how to supply the credentials required."
    )

    def __init__(
        self,
        description: str | None = None,
        response: Any = None,
        www_authenticate: Any = None,
    ) -> None:
        super().__init__(description, response)
        if www_authenticate is not None and not _is_collection(www_authenticate):
            www_authenticate = (www_authenticate,)
        self.www_authenticate = www_authenticate

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        challenges = self.www_authenticate or ()
        fields = [("WWW-Authenticate", str(challenge)) for challenge in challenges]
        return super().get_headers(environ, scope) + fields


class Forbidden(HTTPException):
    code = 403
    description = (
        "You don't have the permission to access the requested resource. It is either read-"
        "protected or not readable by the server."
    )


class NotFound(HTTPException):
    code = 404
    description = (
        "The requested URL was not found on the server. If you entered the URL manually "
        "please check your spelling and try again."
    )


class MethodNotAllowed(HTTPException):
    code = 405
    description = "The method is not allowed for the requested URL."

    def __init__(
        self,
        valid_methods: Iterable[str] | None = None,
        description: str | None = None,
        response: Any = None,
    ) -> None:
        super().__init__(description, response)
        self.valid_methods = valid_methods

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        headers = super().get_headers(environ, scope)
        if self.valid_methods:
            headers.append(("Allow", ", ".join(self.valid_methods)))
        return headers


class NotAcceptable(HTTPException):
    code = 406
    description = (
        "The resource identified by the request is only capable of generating response "
        "entities which have content characteristics not acceptable according to the accept "
        "headers sent in the request."
    )


class RequestTimeout(HTTPException):
    code = 408
    description = (
        "The server closed the network connection because the browser didn't finish the "
        "request within the specified time."
    )


class Conflict(HTTPException):
    code = 409
    description = (
        "A conflict happened while processing the request. The resource might have been "
        "modified while the request was being processed."
    )


class Gone(HTTPException):
    code = 410
    description = (
        "The requested URL is no longer available on this server and there is no forwarding "
        "address. If you followed a link from a foreign page, please contact the author of "
        "this page."
    )


class LengthRequired(HTTPException):
    code = 411
    description = "A request with this method requires a valid <code>Content-Length</code> header."


class PreconditionFailed(HTTPException):
    code = 412
    description = "The precondition on the request for the URL failed positive evaluation."


class RequestEntityTooLarge(HTTPException):
    code = 413
    description = "The data value transmitted exceeds the capacity limit."


class RequestURITooLarge(HTTPException):
    code = 414
    description = (
        "The length of the requested URL exceeds the capacity limit for this server. The "
        "request cannot be processed."
    )


class UnsupportedMediaType(HTTPException):
    code = 415
    description = "The server does not support the media type transmitted in the request."


class RequestedRangeNotSatisfiable(HTTPException):
    code = 416
    description = "The server cannot provide the requested range."

    def __init__(
        self,
        length: int | None = None,
        units: str = "bytes",
        description: str | None = None,
        response: Any = None,
    ) -> None:
        super().__init__(description, response)
        self.length = length
        self.units = units

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        headers = super().get_headers(environ, scope)
        if self.length is not None:
            headers.append(("Content-Range", f"{self.units} */{self.length}"))
        return headers


class ExpectationFailed(HTTPException):
    code = 417
    description = "The server could not meet the requirements of the Expect header"


class ImATeapot(HTTPException):
    code = 418
    description = "This server is a teapot, not a coffee machine"


class MisdirectedRequest(HTTPException):
    code = 421
    description = "The server is not able to produce a response."


class UnprocessableEntity(HTTPException):
    code = 422
    description = (
        "The request was well-formed but was unable to be followed due to semantic errors."
    )


class Locked(HTTPException):
    code = 423
    description = "The resource that is being accessed is locked."


class FailedDependency(HTTPException):
    code = 424
    description = (
        "The method could not be performed on the resource because the requested action "
        "depended on another action and that action failed."
    )


class PreconditionRequired(HTTPException):
    code = 428
    description = (
        'This request is required to be conditional; try using "If-Match" or "If-Unmodified-Since".'
    )


class _RetryAfter(HTTPException):
    """An error with an optional Retry-After, as seconds or a datetime."""

    def __init__(
        self,
        description: str | None = None,
        response: Any = None,
        retry_after: datetime | int | None = None,
    ) -> None:
        super().__init__(description, response)
        self.retry_after = retry_after

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        headers = super().get_headers(environ, scope)
        if self.retry_after:
            when = self.retry_after
            value = http_date(when) if isinstance(when, datetime) else str(when)
            headers.append(("Retry-After", value))
        return headers


class TooManyRequests(_RetryAfter):
    code = 429
    description = "This user has exceeded an allotted request count. Try again later."


class RequestHeaderFieldsTooLarge(HTTPException):
    code = 431
    description = "One or more header fields exceeds the maximum size."


class UnavailableForLegalReasons(HTTPException):
    code = 451
    description = "Unavailable for legal reasons."


class InternalServerError(HTTPException):
    request_id = ""  # of a request whose error was logged
    code = 500
    description = (
        "The server encountered an internal error and was unable to complete your request. "
        "Either the server is overloaded or there is an error in the application."
    )

    def __init__(
        self,
        description: str | None = None,
        response: Any = None,
        original_exception: BaseException | None = None,
    ) -> None:
        self.original_exception = original_exception
        super().__init__(description, response)

    def get_description(self, environ: Any = None, scope: Any = None) -> str:
        """The description as HTML, with the id under which the server has logged the error."""
        text = super().get_description(environ, scope)
        if not self.request_id:
            return text
        return f"{text}\n<p>Request id: {markupsafe.escape(self.request_id)}</p>"


class NotImplemented(HTTPException):  # noqa: A001 (a public name)
    code = 501
    description = "The server does not support the action requested by the browser."


class BadGateway(HTTPException):
    code = 502
    description = "The proxy server received an invalid response from an upstream server."


class ServiceUnavailable(_RetryAfter):
    code = 503
    description = (
        "The server is temporarily unable to service your request due to maintenance downtime"
        " or capacity problems. Please try again later."
    )


class GatewayTimeout(HTTPException):
    code = 504
    description = "The connection to an upstream server timed out."


class HTTPVersionNotSupported(HTTPException):
    code = 505
    description = "The server does not support the HTTP protocol version used in the request."


# Each exception that defines a code, by its code.
default_exceptions: dict[int, type[HTTPException]] = {
    each.code: each
    for each in list(globals().values())
    if isinstance(each, type) and issubclass(each, HTTPException)
    if each.code is not None and "code" in vars(each)
}


class Aborter:
    """Raises the exception of a status code, or an HTTPException with a response.

    `mapping` replaces `default_exceptions`, `extra` adds to them.
    """

    def __init__(
        self,
        mapping: dict[int, type[HTTPException]] | None = None,
        extra: dict[int, type[HTTPException]] | None = None,
    ) -> None:
        self.mapping = dict(default_exceptions if mapping is None else mapping)
        if extra is not None:
            self.mapping.update(extra)

    def __call__(self, code: Any, *args: Any, **kwargs: Any) -> NoReturn:
        if _is_response(code):
            raise HTTPException(response=code)
        if code not in self.mapping:
            raise LookupError(
                f"no exception for {code!r}. Use the code of an error, or raise an HTTPException."
            )
        raise self.mapping[code](*args, **kwargs)


def _is_response(value: Any) -> bool:
    """Whether `abort` was given a response: a callable with a status code."""
    return callable(value) and hasattr(value, "status_code")


_aborter = Aborter()


def abort(status: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raise the HTTPException of a status code, or an HTTPException with a response.

    Further arguments are passed to the exception. LookupError for a code without an exception.
    """
    _aborter(status, *args, **kwargs)
