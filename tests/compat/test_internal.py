"""Names of `werkzeug._internal`, compared with Werkzeug."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import werkzeug._internal
import werkzeug.urls
import werkzeug.wsgi
from hypothesis import given
from hypothesis import strategies as st

from carboy import werkzeug_log
from carboy.compat import internal
from carboy.http import Request
from carboy.testing import create_environ


def result(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("text", ["1", " 1 ", "-1", "+1", "1_0", "٣", "", "a", "1.0", "00", "--1"])
def test_a_plain_number_is_read_as_in_werkzeug(text: str) -> None:
    theirs = result(werkzeug._internal._plain_int, text)
    assert result(internal._plain_int, text) == theirs


@pytest.mark.parametrize(
    "moment",
    [
        None,
        datetime(2020, 1, 1),
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_time_is_converted_to_utc_as_in_werkzeug(moment: datetime | None) -> None:
    ours, theirs = internal._dt_as_utc(moment), werkzeug._internal._dt_as_utc(moment)
    assert (ours, ours and ours.tzinfo) == (theirs, theirs and theirs.tzinfo)


@pytest.mark.parametrize("name", ["h", None])
@pytest.mark.parametrize("port", ["80", "x", "", None])
def test_the_server_of_an_environ_is_read_as_in_werkzeug(name: Any, port: Any) -> None:
    environ = {"SERVER_NAME": name, "SERVER_PORT": port}
    environ = {key: value for key, value in environ.items() if value is not None}
    assert internal._get_server(environ) == werkzeug.wsgi._get_server(environ)


@given(st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.text(max_size=5))))
def test_a_query_is_encoded_as_in_werkzeug(query: dict[str, Any]) -> None:
    assert internal._urlencode(query) == werkzeug.urls._urlencode(query)


def test_an_environ_is_found_in_a_request() -> None:
    environ = create_environ()
    assert internal._get_environ(Request(environ)) is environ
    assert internal._get_environ(environ) is environ
    with pytest.raises(AssertionError, match="dict"):
        internal._get_environ(1)


@given(st.text())
def test_text_goes_into_an_environ_and_back(text: str) -> None:
    assert internal._wsgi_decoding_dance(internal._wsgi_encoding_dance(text)) == text


def test_missing_is_a_single_object() -> None:
    missing = internal._missing
    assert repr(missing) == repr(werkzeug._internal._missing)
    assert pickle.loads(pickle.dumps(missing)) is copy.deepcopy(missing) is missing


@contextmanager
def untouched() -> Iterator[logging.Logger]:
    """The logger `werkzeug` in its initial state; pytest adds handlers before a test."""
    logger = logging.getLogger("werkzeug")
    before = logger.level, logger.handlers[:], logger.propagate
    logger.level, logger.handlers[:], logger.propagate = logging.NOTSET, [], False
    werkzeug_log._logger = werkzeug._internal._logger = None
    try:
        yield logger
    finally:
        werkzeug_log._logger = werkzeug._internal._logger = None
        logger.level, logger.handlers[:], logger.propagate = before


def test_a_message_is_shown_if_logging_is_not_configured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with untouched() as logger:
        internal._log("info", "hello %s\n", "you")
        internal._log("debug", "not this")
        assert [type(handler) for handler in logger.handlers] == [internal._ColorStreamHandler]
    assert capsys.readouterr().err == "hello you\n"


@pytest.mark.parametrize("log", [internal._log, werkzeug._internal._log])
def test_the_application_sets_level_and_handlers_after_the_first_message(log: Any) -> None:
    with untouched() as logger:
        log("info", "first")
        assert (logger.level, len(logger.handlers)) == (logging.INFO, 1)
        logger.setLevel(logging.NOTSET)
        logger.handlers.clear()
        log("info", "second")
        assert (logger.level, len(logger.handlers)) == (logging.NOTSET, 0)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_no_handler_is_added_if_one_handles_the_level(level: int) -> None:
    with untouched() as logger:
        logger.addHandler(logging.NullHandler(level))
        logger.setLevel(logging.INFO)
        assert internal._has_level_handler(logger) is (level == logging.DEBUG)
        assert werkzeug._internal._has_level_handler(logger) is (level == logging.DEBUG)
