"""Sessions on engines: what is stored, when it is written, ids, and engines that stop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import flask
import flask_session
import msgspec.msgpack
import pytest
from redis import Redis

from carboy import Carboy, flash, get_flashed_messages, session
from carboy.http.exceptions import ServiceUnavailable
from carboy.shared import ServerSessionInterface, Session
from carboy.shared.stores import store_at
from engine_servers import RedisServer, redis_server


def application(**config: Any) -> Carboy:
    app = Carboy("shop")
    app.config.update(config)
    Session(app)

    @app.route("/set/<key>/<value>")
    def set_(key: str, value: str) -> str:
        session[key] = value
        return "set"

    @app.route("/get")
    def get() -> dict[str, Any]:
        return {key: repr(value) for key, value in session.items()}

    @app.route("/append")
    def append() -> str:
        session["list"].append(1)
        return "appended"

    @app.route("/log-in")
    def log_in() -> str:
        session["user"] = "ada"
        return session.regenerate()  # type: ignore[attr-defined,no-any-return]

    @app.route("/log-out")
    def log_out() -> str:
        session.clear()
        return "out"

    @app.route("/plain")
    def plain() -> str:
        return "plain"

    @app.route("/async")
    async def coroutine() -> str:
        session["async"] = "yes"
        return str(session.get("user"))

    return app


@pytest.fixture
def app(url: str, fresh: str) -> Carboy:
    return application(SESSION_URL=url, SESSION_KEY_PREFIX=fresh, SECRET_KEY="k")


class Log:
    """A store that records what is done with it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._store, name)

    def taken(self) -> list[str]:
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def log(app: Carboy) -> Log:
    interface = app.session_interface
    assert isinstance(interface, ServerSessionInterface)
    log = Log(interface.store)
    interface.store = log  # type: ignore[assignment]
    return log


def sid_of(client: Any) -> str:
    cookie = client.get_cookie("session")
    assert cookie is not None
    return str(cookie.value)


def test_a_session_is_kept_in_the_engine_and_the_cookie_has_only_its_id(
    app: Carboy, url: str, fresh: str
) -> None:
    client = app.test_client()
    response = client.get("/set/name/Ada")
    assert re.fullmatch(r"[\w-]{43}", sid_of(client))
    assert "HttpOnly" in response.headers["Set-Cookie"]
    assert response.headers["Vary"] == "Cookie"
    assert client.get("/get").json == {"_permanent": "True", "name": "'Ada'"}
    data = store_at(url).get(fresh + sid_of(client))
    assert data is not None
    assert msgspec.msgpack.decode(data) == {"_permanent": True, "name": "Ada"}


def test_a_session_is_read_when_it_is_used_and_written_when_it_has_changed(
    app: Carboy, log: Log
) -> None:
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    client = app.test_client()
    client.get("/get")
    assert log.taken() == []  # without a cookie, there is nothing to read
    client.get("/set/list/x")
    assert log.taken() == ["set", "delete"]
    client.get("/plain")
    assert log.taken() == []
    assert "Set-Cookie" not in client.get("/get").headers
    assert log.taken() == ["get"]
    client.get("/set/list/y")
    assert log.taken() == ["get", "replace"]


def test_a_permanent_session_is_refreshed_by_each_request(app: Carboy, log: Log) -> None:
    client = app.test_client()
    client.get("/set/a/b")
    log.taken()
    response = client.get("/plain")
    assert log.taken() == ["get", "touch"]
    assert "Expires=" in response.headers["Set-Cookie"]


def test_a_session_is_refreshed_without_a_secret_key(url: str, fresh: str) -> None:
    app = application(SESSION_URL=url, SESSION_KEY_PREFIX=fresh)
    client = app.test_client()
    client.get("/set/a/b")
    assert "Expires=" in client.get("/plain").headers["Set-Cookie"]
    assert client.get("/get").json == {"_permanent": "True", "a": "'b'"}


def test_a_change_inside_a_value_is_saved(app: Carboy) -> None:
    client = app.test_client()
    with client.session_transaction() as opened:
        opened["list"] = []
    client.get("/append")
    client.get("/append")
    assert client.get("/get").json == {"_permanent": "True", "list": "[1, 1]"}


def test_an_empty_session_is_deleted_with_its_cookie(app: Carboy, url: str, fresh: str) -> None:
    client = app.test_client()
    client.get("/set/a/b")
    sid = sid_of(client)
    client.get("/log-out")
    assert client.get_cookie("session") is None
    assert store_at(url).get(fresh + sid) is None
    assert "Set-Cookie" not in client.get("/log-out").headers


def test_a_new_id_replaces_the_old_one(app: Carboy, url: str, fresh: str) -> None:
    client = app.test_client()
    client.get("/set/cart/book")
    old = sid_of(client)
    new = client.get("/log-in").text
    assert sid_of(client) == new != old
    assert client.get("/get").json == {
        "_permanent": "True", "cart": "'book'", "user": "'ada'",
    }  # fmt: skip
    assert store_at(url).get(fresh + old) is None


def test_flask_sessions_way_to_a_new_id_works_as_well(app: Carboy) -> None:
    @app.get("/regenerate")
    def regenerate() -> str:
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        return session.sid  # type: ignore[attr-defined,no-any-return]

    client = app.test_client()
    client.get("/set/a/b")
    old = sid_of(client)
    assert client.get("/regenerate").text == sid_of(client) != old


@pytest.mark.parametrize("value", ["chosen", "", "ä", "x" * 500, "*", "a b"])
def test_an_id_that_the_server_has_not_given_is_not_used(app: Carboy, value: str) -> None:
    client = app.test_client()
    client.set_cookie("session", value)
    assert client.get("/get").json == {"_permanent": "True"}
    client.get("/set/a/b")
    assert re.fullmatch(r"[\w-]{43}", sid_of(client))


def test_a_session_that_ends_during_another_request_stays_ended(app: Carboy) -> None:
    client, other = app.test_client(), app.test_client()

    @app.get("/slow")
    def slow() -> str:
        session["late"] = 1
        other.get("/log-out")
        return ""

    client.get("/set/a/b")
    other.set_cookie("session", sid_of(client))
    response = client.get("/slow")
    assert "Set-Cookie" not in response.headers
    assert client.get("/get").json == {"_permanent": "True"}


def test_a_session_ends_after_its_lifetime(app: Carboy, log: Log) -> None:
    seconds = []
    app.config["PERMANENT_SESSION_LIFETIME"] = 100
    original = log._store.set
    log._store = type("Store", (), {
        "set": lambda self, key, value, for_: (seconds.append(for_), original(key, value, for_)),
        "delete": lambda self, keys: 0,
    })()  # fmt: skip
    app.test_client().get("/set/a/b")
    assert seconds == [100]


def test_a_session_that_is_not_permanent_ends_with_the_browser(url: str, fresh: str) -> None:
    app = application(SESSION_URL=url, SESSION_KEY_PREFIX=fresh, SESSION_PERMANENT=False)
    client = app.test_client()
    assert "Expires" not in client.get("/set/a/b").headers["Set-Cookie"]
    assert client.get("/get").json == {"a": "'b'"}


def test_coroutines_use_sessions(app: Carboy, log: Log) -> None:
    client = app.test_client()
    client.get("/log-in")
    log.taken()
    assert client.get("/async").text == "ada"
    assert client.get("/get").json["async"] == "'yes'"  # type: ignore[index]


def test_flashed_messages_are_kept(app: Carboy) -> None:
    @app.get("/flash")
    def flash_() -> str:
        flash("Saved.", "success")
        return ""

    @app.get("/flashed")
    def flashed() -> list[Any]:
        return [f"{kind}: {text}" for kind, text in get_flashed_messages(with_categories=True)]

    client = app.test_client()
    client.get("/flash")
    assert client.get("/flashed").json == ["success: Saved."]
    assert client.get("/flashed").json == []


def test_a_value_that_cannot_be_stored_is_named(app: Carboy) -> None:
    @app.get("/bad")
    def bad() -> str:
        session["basket"] = object()
        return ""

    app.testing = True
    with pytest.raises(TypeError, match="because of its key 'basket': A value of the type object"):
        app.test_client().get("/bad")


# --- Flask-Session -----------------------------------------------------------------------


@pytest.fixture
def client_of_redis(redis: RedisServer) -> Iterator[Redis]:
    with Redis(unix_socket_path=str(redis.path)) as client:
        yield client


def flask_application(**config: Any) -> flask.Flask:
    app = flask.Flask("shop")
    app.config.update(config)
    flask_session.Session(app)

    @app.route("/set")
    def set_() -> str:
        flask.session["user"] = "ada"
        flask.session["since"] = datetime(2020, 1, 1, tzinfo=UTC)
        flask.flash("Hello", "info")
        return ""

    @app.route("/get")
    def get() -> dict[str, Any]:
        return {key: repr(value) for key, value in flask.session.items()}

    return app


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("form", ["msgpack", "json"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_users_stay_logged_in_when_a_site_changes_from_flask_session_and_back(
    client_of_redis: Redis, fresh: str, form: str, signed: bool
) -> None:
    config = {
        "SECRET_KEY": "k", "SESSION_TYPE": "redis", "SESSION_REDIS": client_of_redis,
        "SESSION_KEY_PREFIX": fresh, "SESSION_USE_SIGNER": signed,
        "SESSION_SERIALIZATION_FORMAT": form,
    }  # fmt: skip
    theirs, ours = flask_application(**config).test_client(), application(**config).test_client()
    theirs.get("/set")
    before = theirs.get("/get").json
    ours.set_cookie("session", sid_of(theirs))
    assert ours.get("/get").json == before
    ours.get("/set/cart/book")
    assert sid_of(ours) == sid_of(theirs)
    assert theirs.get("/get").json == {**before, "cart": "'book'"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sessions_in_another_format_are_read_and_written_in_ours(
    client_of_redis: Redis, fresh: str
) -> None:
    config = {
        "SECRET_KEY": "k", "SESSION_TYPE": "redis", "SESSION_REDIS": client_of_redis,
        "SESSION_KEY_PREFIX": fresh,
    }  # fmt: skip
    theirs = flask_application(**config, SESSION_SERIALIZATION_FORMAT="json").test_client()
    theirs.get("/set")
    ours = application(**config).test_client()
    ours.set_cookie("session", sid_of(theirs))
    ours.get("/get")
    stored = client_of_redis.get(fresh + sid_of(theirs))
    assert isinstance(stored, bytes)
    assert stored.startswith(b"{")  # not changed, so not written
    ours.get("/set/cart/book")
    stored = client_of_redis.get(fresh + sid_of(theirs))
    assert isinstance(stored, bytes)
    assert msgspec.msgpack.decode(stored)["cart"] == "book"


PICKLE = b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x04user\x94\x8c\x03ada\x94s."
RUNS_CODE = b"\x80\x03cposix\nsystem\nX\x05\x00\x00\x00false\x85R."


def test_a_pickle_is_read_only_if_the_application_asks_for_it(
    url: str, fresh: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_at(url)
    for data, expected in ((PICKLE, {"user": "'ada'"}), (RUNS_CODE, {"_permanent": "True"})):
        for asked in (False, True):
            store.set(f"{fresh}sid", data, 100)
            app = application(SESSION_URL=url, SESSION_KEY_PREFIX=fresh, SESSION_READ_PICKLES=asked)
            client = app.test_client()
            client.set_cookie("session", "sid")
            caplog.clear()
            assert client.get("/get").json == (expected if asked else {"_permanent": "True"})
            if not asked:
                assert "Set SESSION_READ_PICKLES = True" in caplog.text
    assert "an object of posix.system" in caplog.text


@pytest.mark.parametrize("data", [b"", b"garbage", b"[1]", b"{", b"\x91\x01", b"\x80\x05."])
def test_a_damaged_session_is_replaced_by_a_new_one(url: str, fresh: str, data: bytes) -> None:
    store_at(url).set(f"{fresh}sid", data, 100)
    app = application(SESSION_URL=url, SESSION_KEY_PREFIX=fresh)
    client = app.test_client()
    client.set_cookie("session", "sid")
    assert client.get("/get").json == {"_permanent": "True"}
    client.get("/set/a/b")
    assert sid_of(client) != "sid"


# --- signatures and settings -------------------------------------------------------------


def test_a_signed_id_is_accepted_with_a_fallback_key_and_signed_again(fresh: str) -> None:
    config = {
        "SESSION_URL": "memory:", "SESSION_KEY_PREFIX": fresh, "SESSION_USE_SIGNER": True,
    }  # fmt: skip
    old = application(**config, SECRET_KEY="old").test_client()
    old.get("/set/a/b")
    app = application(**config, SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"])
    client = app.test_client()
    client.set_cookie("session", sid_of(old))
    assert client.get("/get").json == {"_permanent": "True", "a": "'b'"}
    assert sid_of(client) != sid_of(old)
    assert sid_of(client).partition(".")[0] == sid_of(old).partition(".")[0]
    client.set_cookie("session", sid_of(old)[:-1])
    assert client.get("/get").json == {"_permanent": "True"}


def test_signing_without_a_secret_key_is_an_error() -> None:
    app = application(SESSION_URL="memory:", SESSION_USE_SIGNER=True, TESTING=True)
    with pytest.raises(RuntimeError, match="SESSION_USE_SIGNER needs a secret key. Set"):
        app.test_client().get("/set/a/b")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "There is no engine for the sessions. Set SESSION_URL"),
        ({"SESSION_TYPE": "memcached"}, 'Use one of "redis"'),
        ({"SESSION_TYPE": "postgresql"}, "There is no engine for the sessions. Set SESSION_URL"),
        ({"SESSION_URL": "http://x"}, "not the URL of an engine"),
        ({"SESSION_URL": "memory:", "SESSION_ID_LENGTH": 4}, "at least 16 bytes"),
        ({"SESSION_URL": "memory:", "SESSION_ON_ERROR": "ignore"}, 'Use "error" or "anonymous"'),
        ({"SESSION_URL": "memory:", "SESSION_SERIALIZATION_FORMAT": "x"}, 'Use "msgpack" or'),
        ({"SESSION_REDIS": Redis(decode_responses=True)}, "decode_responses=True"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_an_error_at_once(config: dict[str, Any], message: str) -> None:
    app = Carboy("x")
    app.config.update(config)
    with pytest.raises(ValueError, match=re.escape(message)):
        Session(app)


def test_the_extension_can_be_made_before_the_application() -> None:
    extension = Session()
    app = Carboy("x")
    app.config["SHARED_URL"] = "memory:"
    extension.init_app(app)
    extension.init_app(app)
    assert isinstance(app.session_interface, ServerSessionInterface)
    assert len(app.before_request_funcs[None]) == 1


# --- an engine that stops ----------------------------------------------------------------


@pytest.fixture
def stopping() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


def test_without_its_engine_a_request_that_uses_its_session_gets_503(
    stopping: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(SESSION_URL=stopping.url)

    @app.errorhandler(ServiceUnavailable)
    def unavailable(error: ServiceUnavailable) -> tuple[str, int]:
        return f"Sorry, {session.get('user', 'stranger')}.", 503

    client = app.test_client()
    client.get("/log-in")
    stopping.stop()
    for path in ("/get", "/set/a/b", "/async"):
        response = client.get(path)
        assert (response.status_code, response.text) == (503, "Sorry, stranger."), path
    assert "The session cannot be read: Redis at unix://" in caplog.text
    plain = client.get("/plain")
    assert (plain.status_code, plain.text) == (200, "plain")
    assert "Set-Cookie" not in plain.headers
    # A session that cannot be saved is an error as well, after the view has run.
    new = app.test_client()
    assert new.get("/set/a/b").text == "Sorry, stranger."
    assert new.get_cookie("session") is None
    stopping.start()
    assert client.get("/set/a/b").status_code == 200


def test_without_its_engine_users_are_anonymous_if_the_application_wants_so(
    stopping: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(SESSION_URL=stopping.url, SESSION_ON_ERROR="anonymous")
    client = app.test_client()
    client.get("/log-in")
    cookie = sid_of(client)
    stopping.stop()
    assert client.get("/get").json == {}
    response = client.get("/set/a/b")
    assert (response.status_code, response.text) == (200, "set")
    assert sid_of(client) == cookie  # for the time when the engine runs again
    assert "Changes of a session are lost" in caplog.text
    assert app.test_client().get("/set/a/b").status_code == 200
