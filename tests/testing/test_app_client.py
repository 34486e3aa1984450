from __future__ import annotations

import datetime
from typing import Any

import flask
import flask.testing
import pytest
import werkzeug.test

import carboy
from carboy.http.request.environ_builder import EnvironBuilder as BaseBuilder
from carboy.testing import EnvironBuilder, FlaskClient

lanes = pytest.mark.parametrize("lane", ["wsgi", "direct"])


def counter(library: Any = carboy, **config: Any) -> Any:
    app = library.Flask("counter")
    app.secret_key = "k"
    app.config.update(config)

    @app.route("/")
    def index() -> str:
        library.session["n"] = library.session.get("n", 0) + 1
        library.g.seen = library.request.path
        return str(library.session["n"])

    @app.route("/environ")
    def environ() -> Any:
        found = library.request.environ
        wanted = {key: found.get(key) for key in ("REMOTE_ADDR", "HTTP_HOST", "my.key")}
        return {**wanted, "url": library.request.url}

    @app.route("/fail")
    def fail() -> str:
        raise ZeroDivisionError

    return app


@lanes
def test_a_session_lasts_from_request_to_request(lane: str) -> None:
    client = counter().test_client(lane=lane)
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]


@lanes
def test_a_session_transaction_changes_the_next_requests_session(lane: str) -> None:
    client = counter().test_client(lane=lane)
    with client.session_transaction() as session:
        session["n"] = 41
    assert client.get("/").text == "42"
    with client.session_transaction() as session:
        assert session["n"] == 42


def test_a_session_transaction_is_for_its_host() -> None:
    client = counter().test_client()
    with client.session_transaction("/", base_url="http://other/") as session:
        session["n"] = 1
    assert client.get("/").text == "1"
    assert client.get("/", base_url="http://other/").text == "2"


def test_a_session_transaction_needs_cookies_and_a_key() -> None:
    with pytest.raises(TypeError, match="use_cookies"):
        with counter().test_client(use_cookies=False).session_transaction():
            pass
    with pytest.raises(RuntimeError, match="secret_key"):
        with carboy.Flask("x").test_client().session_transaction():
            pass


@lanes
def test_the_contexts_of_the_last_request_are_kept_in_a_with_block(lane: str) -> None:
    with counter().test_client(lane=lane) as client:
        client.get("/")
        assert (carboy.request.path, carboy.g.seen, carboy.session["n"]) == ("/", "/", 1)
        client.get("/environ")
        assert carboy.request.path == "/environ"
        assert not hasattr(carboy.g, "seen")
    assert not carboy.has_request_context()


@lanes
def test_the_contexts_are_kept_during_a_session_transaction(lane: str) -> None:
    with counter().test_client(lane=lane) as client:
        client.get("/")
        with client.session_transaction() as session:
            session["n"] = 5
        assert carboy.request.path == "/"
    assert not carboy.has_request_context()


@lanes
def test_no_context_is_kept_after_an_error(lane: str) -> None:
    app = counter(TESTING=True)
    with app.test_client(lane=lane) as client:
        with pytest.raises(ZeroDivisionError):
            client.get("/fail")
        client.get("/")
        assert carboy.request.path == "/"
    assert not carboy.has_request_context()


def teardowns(library: Any, **options: Any) -> list[str]:
    app = library.Flask("t")
    log: list[str] = []
    app.teardown_request(lambda error: log.append("request"))
    app.teardown_appcontext(lambda error: log.append("app"))
    app.add_url_rule("/", "index", lambda: "x")
    with app.test_client(**options) as client:
        client.get("/")
        log.append("between")
        client.get("/")
        log.append("end")
    log.append("outside")
    return log


@lanes
def test_teardown_runs_at_the_same_time_as_in_flask(lane: str) -> None:
    assert teardowns(carboy, lane=lane) == teardowns(flask)


def test_clients_do_not_nest() -> None:
    with counter().test_client() as client:
        with pytest.raises(RuntimeError, match="another client"):
            client.__enter__()


def urls(library: Any, builder: Any, config: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    app = library.Flask("urls")
    app.config.update(config)
    try:
        made = builder(app, *args, **kwargs)
    except AssertionError:
        return "AssertionError"
    with made:
        return made.base_url, made.path, made.query_string


CONFIG = {"SERVER_NAME": "ex.com:80", "APPLICATION_ROOT": "/root", "PREFERRED_URL_SCHEME": "https"}


@pytest.mark.parametrize("config", [{}, CONFIG])
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("/x?a=1",), {}),
        (("/x",), {"subdomain": "s"}),
        (("/x",), {"url_scheme": "ftp"}),
        (("/x",), {"base_url": "http://q/w"}),
        (("/x",), {"base_url": "http://q/w", "subdomain": "s"}),
        (("http://zz:81/x?a=1",), {}),
        (("//zz:81/x?a=1",), {}),
        (("https://zz/x?",), {"url_scheme": "http"}),
        (("/x",), {"query_string": {"a": 1}}),
    ],
)
def test_the_url_is_made_from_the_configuration_as_in_flask(
    config: Any, args: Any, kwargs: Any
) -> None:
    class Theirs(flask.testing.EnvironBuilder):
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *exc: object) -> None:
            self.close()

    ours = urls(carboy, EnvironBuilder, config, *args, **kwargs)
    assert ours == urls(flask, Theirs, config, *args, **kwargs)


def test_json_is_written_by_the_application() -> None:
    app = carboy.Flask("x")
    with EnvironBuilder(app, json={"d": datetime.date(2020, 1, 1)}) as builder:
        assert builder.input_stream is not None
        assert builder.input_stream.read() == b'{"d": "Wed, 01 Jan 2020 00:00:00 GMT"}'


@lanes
@pytest.mark.parametrize("kind", ["path", "builder", "base builder", "environ", "request"])
def test_every_kind_of_request_has_the_base_environ(lane: str, kind: str) -> None:
    app = counter()
    client = app.test_client(lane=lane)
    client.environ_base["REMOTE_ADDR"] = "9.9.9.9"
    client.environ_base["my.key"] = "mine"
    argument: Any = {
        "path": lambda: "/environ",
        "builder": lambda: EnvironBuilder(app, "/environ"),
        "base builder": lambda: BaseBuilder("/environ"),
        "environ": lambda: BaseBuilder("/environ").get_environ(),
        "request": lambda: BaseBuilder("/environ").get_request(),
    }[kind]()
    found = client.open(argument).json
    assert (found["REMOTE_ADDR"], found["my.key"]) == ("9.9.9.9", "mine")
    assert (found["HTTP_HOST"], found["url"]) == ("localhost", "http://localhost/environ")


def test_a_custom_client_class_gets_its_arguments() -> None:
    class Own(FlaskClient):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.extra = kwargs.pop("extra")
            super().__init__(*args, **kwargs)

    app = counter()
    app.test_client_class = Own
    assert app.test_client(extra=3).extra == 3


@lanes
def test_the_response_is_of_the_applications_class(lane: str) -> None:
    app = counter()
    response = app.test_client(lane=lane).get("/environ")
    assert isinstance(response, app.response_class)
    assert response.json["HTTP_HOST"] == "localhost"


@lanes
def test_a_stream_with_the_context_is_read_in_a_with_block(lane: str) -> None:
    app = carboy.Flask("s")

    @app.route("/s")
    def stream() -> Any:
        def pieces() -> Any:
            yield carboy.request.path

        return carboy.stream_with_context(pieces())

    with app.test_client(lane=lane) as client:
        assert client.get("/s").text == "/s"
    assert not carboy.has_request_context()


def redirecting(library: Any) -> Any:
    app = library.Flask("r")

    @app.route("/from")
    def start() -> Any:
        return library.redirect("/to")

    @app.route("/to", methods=["GET", "POST"])
    def end() -> Any:
        request = library.request
        return {
            "address": request.remote_addr,
            "own": request.environ.get("own"),
            "method": request.method,
            "header": request.headers.get("X-Token"),
        }

    return app


@lanes
def test_the_request_after_a_redirect_has_the_environ_base(lane: str) -> None:
    def found(library: Any, **options: Any) -> Any:
        client = redirecting(library).test_client(**options)
        client.environ_base["own"] = "mine"
        return client.get("/from", follow_redirects=True).json

    assert found(carboy, lane=lane) == found(flask)
    assert found(carboy, lane=lane)["address"] == "127.0.0.1"


@lanes
def test_the_kept_contexts_are_those_of_the_request_after_a_redirect(lane: str) -> None:
    with redirecting(carboy).test_client(lane=lane) as client:
        client.get("/from", follow_redirects=True)
        assert carboy.request.path == "/to"
    with redirecting(flask).test_client() as client:
        client.get("/from", follow_redirects=True)
        assert flask.request.path == "/to"


def test_an_overridden_open_gets_the_requests_after_a_redirect() -> None:
    def found(library: Any, kind: Any) -> Any:
        seen = []

        class Own(kind):  # type: ignore[misc]
            def open(self, *args: Any, **kwargs: Any) -> Any:
                seen.append(sorted(kwargs))
                kwargs.setdefault("headers", {})["X-Token"] = "secret"
                return super().open(*args, **kwargs)

        app = redirecting(library)
        app.test_client_class = Own
        return app.test_client().get("/from", follow_redirects=True).json, seen

    mine = found(carboy, FlaskClient)
    assert mine == found(flask, flask.testing.FlaskClient)
    assert mine[0]["header"] == "secret"


def test_arguments_besides_a_complete_request_are_ignored() -> None:
    def found(library: Any, builder: Any) -> Any:
        client = redirecting(library).test_client()
        made = builder("/to", method="POST")
        environ = made.get_environ()
        return [
            client.open(one, headers={"X-Token": "a"}, method="GET").json
            for one in (made, environ, made.get_request())
        ]

    mine = found(carboy, BaseBuilder)
    assert mine == found(flask, werkzeug.test.EnvironBuilder)
    assert [(one["method"], one["header"]) for one in mine] == [("POST", None)] * 3


def test_a_subclass_may_change_how_arguments_become_a_request() -> None:
    class Named(FlaskClient):
        def _copy_environ(self, other: Any) -> Any:
            return {**super()._copy_environ(other), "HTTP_X_NAME": "mine"}

        def _request_from_builder_args(self, args: Any, kwargs: Any) -> Any:
            kwargs["query_string"] = "seen=1"
            return super()._request_from_builder_args(args, kwargs)

    app = carboy.Flask(__name__)

    @app.get("/")
    def index() -> str:
        return f"{carboy.request.headers['X-Name']} {carboy.request.args['seen']}"

    app.test_client_class = Named
    assert app.test_client().get("/").text == "mine 1"
