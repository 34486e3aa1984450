"""Limits for each client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from carboy import Blueprint, Carboy, limit, request
from carboy.middleware.proxy_fix import ProxyFix
from carboy.shared import limit_exempt
from carboy.shared.limits import client_address
from carboy.shared.memory_store import MemoryStore
from engine_servers import RedisServer, redis_server


def application(**config: Any) -> Carboy:
    app = Carboy("shop")
    app.config.update(config)
    return app


@pytest.fixture
def app(url: str, fresh: str) -> Carboy:
    return application(LIMIT_URL=url, LIMIT_KEY_PREFIX=fresh)


def statuses(client: Any, path: str, count: int, **options: Any) -> list[int]:
    return [client.get(path, **options).status_code for _ in range(count)]


def test_a_client_gets_429_after_as_many_requests_as_the_limit(app: Carboy) -> None:
    @app.get("/")
    @limit("3/minute; 1000/day")
    def view() -> str:
        return "hello"

    client = app.test_client()
    for left in (2, 1, 0):
        response = client.get("/")
        assert response.text == "hello"
        assert response.headers["RateLimit-Limit"] == "3"
        assert response.headers["RateLimit-Remaining"] == str(left)
        assert 0 < int(response.headers["RateLimit-Reset"]) <= 60
        assert response.headers["RateLimit-Policy"] == "3;w=60, 1000;w=86400"
        assert "Retry-After" not in response.headers
    response = client.get("/")
    assert response.status_code == 429
    assert "Too Many Requests" in response.text
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert response.headers["RateLimit-Remaining"] == "0"


def test_clients_and_routes_count_alone_and_a_scope_counts_together(app: Carboy) -> None:
    @app.get("/a")
    @limit("1/minute")
    def a() -> str:
        return ""

    @app.get("/b/<int:number>")
    @limit("1/minute")
    def b(number: int) -> str:
        return ""

    for name in ("c", "d"):
        app.add_url_rule(f"/{name}", name, limit("1/minute", scope="search")(lambda: ""))

    client, other = app.test_client(), {"REMOTE_ADDR": "192.0.2.1"}
    assert statuses(client, "/a", 2) == [200, 429]
    assert statuses(client, "/b/1", 1) + statuses(client, "/b/2", 1) == [200, 429]
    assert statuses(client, "/a", 2, environ_base=other) == [200, 429]
    assert statuses(client, "/c", 1) + statuses(client, "/d", 1) == [200, 429]


def test_coroutines_and_classes_are_limited(app: Carboy) -> None:
    from carboy.app.views import MethodView

    @app.get("/async")
    @limit("1/minute")
    async def view() -> str:
        return "hello"

    class View(MethodView):
        decorators = [limit("1/minute")]

        def get(self) -> str:
            return "hello"

    app.add_url_rule("/class", view_func=View.as_view("class"))
    client = app.test_client()
    for path in ("/async", "/class"):
        response = client.get(path)
        assert (response.text, response.headers["RateLimit-Remaining"]) == ("hello", "0")
        assert client.get(path).status_code == 429


def test_the_whole_application_and_a_blueprint_are_limited_by_hooks(app: Carboy) -> None:
    api = Blueprint("api", __name__, url_prefix="/api")
    app.before_request(limit("4/minute"))
    api.before_request(limit("2/minute"))

    @app.get("/")
    def start() -> str:
        return ""

    @app.get("/health")
    @limit_exempt
    def health() -> str:
        return ""

    for name in ("a", "b"):
        api.add_url_rule(f"/{name}", name, lambda: "")
    app.register_blueprint(api)
    client = app.test_client()
    assert statuses(client, "/api/a", 1) + statuses(client, "/api/b", 2) == [200, 200, 429]
    assert statuses(client, "/", 2) == [200, 429]  # the application has counted all four
    assert statuses(client, "/health", 9) == [200] * 9


def test_a_default_is_for_views_without_a_limit_of_their_own(app: Carboy) -> None:
    app.before_request(limit("1/minute", default=True))

    @app.get("/own")
    @limit("3/minute")
    def own() -> str:
        return ""

    for name in ("a", "b"):
        app.add_url_rule(f"/{name}", name, lambda: "")
    client = app.test_client()
    assert statuses(client, "/own", 4) == [200, 200, 200, 429]
    for path in ("/a", "/b"):
        assert statuses(client, path, 2) == [200, 429]


def test_an_error_handler_makes_the_429(app: Carboy) -> None:
    @app.errorhandler(429)
    def too_many(error: Any) -> tuple[dict[str, Any], int]:
        return {"wait": error.retry_after}, 429

    @app.get("/")
    @limit("0/hour")
    def view() -> str:
        return ""

    response = app.test_client().get("/")
    assert response.status_code == 429
    assert response.json == {"wait": int(response.headers["Retry-After"])}


def test_key_methods_cost_and_rates_can_be_chosen(app: Carboy) -> None:
    def rates() -> str | None:
        return None if request.args.get("free") else "10/minute"

    @app.route("/", methods=["GET", "POST"])
    @limit(
        rates, methods=["post"], key=lambda: request.args.get("user"),
        cost=lambda: int(request.args["cost"]),
    )  # fmt: skip
    def view() -> str:
        return ""

    client = app.test_client()
    assert statuses(client, "/?user=a&cost=100", 3) == [200] * 3

    def post(query: str) -> int:
        return client.post(f"/?{query}").status_code

    assert post("user=a&cost=9") == 200
    assert post("user=a&cost=2") == 429
    assert post("user=a&cost=1") == 200  # what was refused has not been counted
    assert post("user=b&cost=10") == 200
    assert post("cost=100") == 200  # no key, no limit
    assert post("user=b&cost=1&free=1") == 200


def test_the_tightest_of_several_limits_is_in_the_header_fields(app: Carboy) -> None:
    app.before_request(limit("2/minute"))

    @app.get("/")
    @limit("50/hour")
    def view() -> str:
        return ""

    response = app.test_client().get("/")
    assert response.headers["RateLimit-Limit"] == "2"
    assert response.headers["RateLimit-Remaining"] == "1"


def test_the_header_fields_can_be_left_out(app: Carboy) -> None:
    app.config["LIMIT_HEADERS"] = False

    @app.get("/")
    @limit("1/minute")
    def view() -> str:
        return ""

    client = app.test_client()
    assert not [name for name in dict(client.get("/").headers) if name.startswith("RateLimit")]
    assert "Retry-After" in client.get("/").headers


def test_behind_a_proxy_clients_are_told_apart_with_proxy_fix(app: Carboy) -> None:
    @app.get("/")
    @limit("1/minute")
    def view() -> str:
        return ""

    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    client = app.test_client()
    for address in ("192.0.2.1", "192.0.2.2"):
        headers = {"X-Forwarded-For": address}
        assert statuses(client, "/", 2, headers=headers) == [200, 429]
    # What a client says itself, before what the proxy has added, does not matter.
    assert statuses(client, "/", 1, headers={"X-Forwarded-For": "1.1.1.1, 192.0.2.1"}) == [429]


def test_the_field_of_a_proxy_can_tell_clients_apart(app: Carboy) -> None:
    app.config["LIMIT_CLIENT_HEADER"] = "X-Real-IP"
    app.add_url_rule("/", "view", limit("1/minute")(lambda: ""))
    client = app.test_client()
    for address in ("192.0.2.1", "2001:db8:1:2::5", "2001:db8:1:3::5"):
        assert statuses(client, "/", 2, headers={"X-Real-IP": address}) == [200, 429]
    assert statuses(client, "/", 1, headers={"X-Real-IP": "2001:db8:1:2::6"}) == [429]
    assert statuses(client, "/", 2) == [200, 429]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_a_client_is_an_address_or_the_network_of_an_ipv6_address(
    address: str, client: str
) -> None:
    app = Carboy("x")
    with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
        assert client_address(request) == client


def test_two_applications_on_one_engine_count_together(app: Carboy, url: str, fresh: str) -> None:
    both = app, application(LIMIT_URL=url, LIMIT_KEY_PREFIX=fresh)
    for each in both:
        each.add_url_rule("/", "view", limit("3/minute")(lambda: ""))
    clients = [each.test_client() for each in both]
    found = [client.get("/").status_code for _ in range(2) for client in clients]
    alone = url == "memory:"  # each application counts in its own memory
    assert found == [200, 200, 200, 200 if alone else 429]


@pytest.mark.parametrize("rates", ["ten/minute", ""])
def test_a_wrong_rate_is_an_error_when_the_module_is_loaded(rates: str) -> None:
    with pytest.raises(ValueError, match='Use for example "10/minute"'):
        limit(rates)


def test_wrong_settings_and_uses_are_errors() -> None:
    with pytest.raises(ValueError, match="Use at least 1"):
        limit("1/minute", cost=0)
    with pytest.raises(TypeError, match=r"Put @limit\(...\) below @app.route\(...\)"):
        limit("1/minute")("view")  # type: ignore[type-var]
    app = application(LIMIT_ON_ERROR="ignore", TESTING=True)
    app.add_url_rule("/", "view", limit("1/minute")(lambda: ""))
    with pytest.raises(ValueError, match='Use "memory", "allow" or "error"'):
        app.test_client().get("/")


# --- an engine that stops ----------------------------------------------------------------


@pytest.fixture
def stopping() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("memory", [200, 200, 429]), ("allow", [200, 200, 200]), ("error", [503, 503, 503])],
)
def test_without_its_engine_a_limit_does_what_the_setting_says(
    stopping: RedisServer, caplog: pytest.LogCaptureFixture, choice: str, expected: list[int]
) -> None:
    app = application(LIMIT_URL=stopping.url, LIMIT_ON_ERROR=choice)
    app.add_url_rule("/", "view", limit("2/hour")(lambda: ""))
    client = app.test_client()
    assert statuses(client, "/", 3) == [200, 200, 429]
    stopping.stop()
    assert statuses(client, "/", 3) == expected
    assert caplog.text.count("Requests cannot be counted") == 1
    stopping.start()
    assert client.get("/").status_code == 200
    assert "Requests are counted again." in caplog.text


def test_a_window_ends_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    app = application()
    app.add_url_rule("/", "view", limit("2/minute; 3/hour")(lambda: ""))
    client = app.test_client()
    client.get("/")
    app.extensions["carboy.limits"].store = MemoryStore(clock=lambda: now)
    assert statuses(client, "/", 3) == [200, 200, 429]
    now = 59.0
    assert client.get("/").headers["Retry-After"] == "1"
    now = 61.0
    assert statuses(client, "/", 1) == [200]
    response = client.get("/")
    assert (response.status_code, response.headers["Retry-After"]) == (429, str(3600 - 61))
    now = 3601.0
    assert statuses(client, "/", 2) == [200, 200]
