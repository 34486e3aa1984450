"""Error pages and their exceptions, compared with Werkzeug."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import werkzeug.exceptions
from markupsafe import Markup
from werkzeug.test import create_environ

from carboy.http import exceptions
from carboy.http.fields.auth import WWWAuthenticate
from carboy.http.response.response import Response

NAMES = sorted(
    name
    for name, value in vars(werkzeug.exceptions).items()
    if isinstance(value, type)
    and issubclass(value, werkzeug.exceptions.HTTPException)
    and not name.startswith("_")
)


def described(error: Any) -> tuple[Any, ...]:
    return (
        str(error),
        repr(error),
        error.args,
        error.code,
        error.name,
        error.description,
        error.get_description(),
        error.get_body(),
        error.get_headers(),
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_has_the_page_and_base_classes_of_werkzeug(name: str) -> None:
    ours, theirs = getattr(exceptions, name), getattr(werkzeug.exceptions, name)
    assert described(ours()) == described(theirs())
    assert [c.__name__ for c in ours.__mro__] == [c.__name__ for c in theirs.__mro__]
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("NotFound", ("a<b\nc",), {}),
    ("NotFound", (Markup("<b>x</b>\ny"),), {}),
    ("NotFound", ("",), {}),
    ("HTTPException", ("text",), {}),
    ("MethodNotAllowed", (["GET", "POST"],), {}),
    ("MethodNotAllowed", ([],), {}),
    ("RequestedRangeNotSatisfiable", (100,), {}),
    ("RequestedRangeNotSatisfiable", (0, "lines"), {}),
    ("TooManyRequests", (), {"retry_after": 5}),
    ("TooManyRequests", (), {"retry_after": 0}),
    ("ServiceUnavailable", ("x",), {"retry_after": datetime(2020, 1, 1)}),
    (
        "ServiceUnavailable",
        (),
        {"retry_after": datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2)))},
    ),
    ("BadRequestKeyError", ("key",), {}),
    ("BadRequestKeyError", ("key", "text"), {}),
    ("InternalServerError", (), {"original_exception": ValueError("x")}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=str)
def test_the_arguments_change_the_page_as_in_werkzeug(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    ours = getattr(exceptions, name)(*args, **kwargs)
    theirs = getattr(werkzeug.exceptions, name)(*args, **kwargs)
    assert described(ours) == described(theirs)


def test_a_retry_after_date_is_in_gmt() -> None:
    error = exceptions.TooManyRequests(retry_after=datetime(2020, 1, 1, tzinfo=UTC))
    assert ("Retry-After", "Wed, 01 Jan 2020 00:00:00 GMT") in error.get_headers()


@pytest.mark.parametrize("several", [False, True])
def test_challenges_are_written_to_the_header(several: bool) -> None:
    challenge = WWWAuthenticate("basic", {"realm": "x"})
    given: Any = [challenge, WWWAuthenticate("digest")] if several else challenge
    headers = exceptions.Unauthorized(www_authenticate=given).get_headers()
    schemes = [value.split()[0] for name, value in headers if name == "WWW-Authenticate"]
    assert schemes == (["Basic", "Digest"] if several else ["Basic"])


def test_the_page_has_the_missing_key_only_with_show_exception() -> None:
    for module in (exceptions, werkzeug.exceptions):
        error = module.BadRequestKeyError("secret")
        assert isinstance(error, KeyError)
        assert "secret" not in error.get_body()
        error.show_exception = True
        assert error.description.endswith("KeyError: 'secret'")
        error.description = "own"
        assert error.description == "own\nKeyError: 'secret'"


def test_the_default_exceptions_are_those_of_werkzeug() -> None:
    ours = {code: error.__name__ for code, error in exceptions.default_exceptions.items()}
    assert ours == {
        code: error.__name__ for code, error in werkzeug.exceptions.default_exceptions.items()
    }


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_exception_answers_as_a_wsgi_application(method: str) -> None:
    def call(application: Any) -> tuple[Any, ...]:
        started: list[Any] = []
        environ = create_environ("/", method=method)
        body = application(environ, lambda *args: started.extend(args))
        return (*started, b"".join(body))

    assert call(exceptions.NotFound()) == call(werkzeug.exceptions.NotFound())


def test_an_exception_with_a_response_answers_with_it() -> None:
    response = Response("own", 402)
    with pytest.raises(exceptions.HTTPException) as caught:
        exceptions.abort(response)
    assert caught.value.get_response() is response
    assert exceptions.NotFound(response=response).get_response({}) is response


def test_abort_passes_its_arguments_to_the_exception_of_the_code() -> None:
    with pytest.raises(exceptions.NotFound, match="gone away"):
        exceptions.abort(404, "gone away")
    with pytest.raises(exceptions.MethodNotAllowed) as caught:
        exceptions.abort(405, ["GET"])
    assert caught.value.valid_methods == ["GET"]


@pytest.mark.parametrize("code", [999, 200, 402, "404"])
def test_abort_refuses_a_code_without_an_exception(code: Any) -> None:
    with pytest.raises(LookupError):
        exceptions.abort(code)


def test_an_aborter_can_have_other_exceptions() -> None:
    extra = exceptions.Aborter(extra={700: exceptions.Gone})
    assert set(extra.mapping) == {700, *exceptions.default_exceptions}
    only = exceptions.Aborter({700: exceptions.Gone})
    with pytest.raises(exceptions.Gone):
        only(700)
    with pytest.raises(LookupError):
        only(404)


def test_an_exception_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(exceptions.NotFound("x")))
    assert (type(error), error.description) == (exceptions.NotFound, "x")


def test_importing_the_exceptions_alone_is_enough_for_a_page() -> None:
    code = (
        "import sys; from carboy.http.exceptions import NotFound;"
        "assert 'carboy.http.response.response' not in sys.modules;"
        "print(NotFound().get_response().status)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "404 NOT FOUND\n"
