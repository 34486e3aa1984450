"""The backend of Flask-Caching."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import flask
import flask_caching
import pytest

from carboy.shared.cache import SharedCache
from carboy.shared.stores import store_at
from engine_servers import redis_server

numbers = itertools.count()


def cache_of(url: str, fresh: str, **config: Any) -> tuple[flask.Flask, flask_caching.Cache]:
    app = flask.Flask("shop")
    app.config.update(
        CACHE_TYPE="carboy.shared.cache.shared_cache", CACHE_URL=url, CACHE_KEY_PREFIX=fresh,
        **config,
    )  # fmt: skip
    return app, flask_caching.Cache(app)


def test_flask_caching_keeps_pages_functions_and_values_in_the_engine(url: str, fresh: str) -> None:
    app, cache = cache_of(url, fresh, SECRET_KEY="k")

    @app.get("/page")
    @cache.cached(timeout=100)  # type: ignore[untyped-decorator]
    def page() -> str:
        return f"page {next(numbers)}"

    @cache.memoize(timeout=100)  # type: ignore[untyped-decorator]
    def total(*values: int) -> dict[str, int]:
        return {"sum": sum(values), "call": next(numbers)}

    client = app.test_client()
    assert client.get("/page").text == client.get("/page").text
    with app.app_context():
        assert total(1, 2) == total(1, 2) != total(1, 3)
        before = total(1, 2)
        cache.delete_memoized(total)
        assert total(1, 2) != before
        assert cache.set("a", {1, 2})
        assert cache.get("a") == {1, 2}
        assert cache.has("a")
        assert cache.add("b", 1)
        assert not cache.add("b", 2)
        assert cache.get_many("a", "b", "c") == [{1, 2}, 1, None]
        assert cache.get_dict("b", "c") == {"b": 1, "c": None}
        assert cache.set_many({"c": 3, "d": 4}) == ["c", "d"]
        assert cache.delete_many("c", "d", "e") == ["c", "d"]
        assert cache.delete("a")
        assert not cache.delete("a")
        assert cache.cache.inc("n") == 1
        assert cache.cache.inc("n", 5) == 6
        assert cache.cache.dec("n", 2) == 4
        assert cache.clear()
        assert cache.get("b") is None


def test_times_are_seconds_and_zero_is_without_an_end() -> None:
    cache = SharedCache(store_at("memory:"), default_timeout=7)
    assert cache._seconds(None) == 7
    assert cache._seconds(timedelta(minutes=1)) == 60
    assert cache._seconds(0) is None
    assert cache._seconds(2.5) == 2.5


def test_a_value_with_a_wrong_signature_is_not_unpickled(
    fresh: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_at("memory:")
    cache = SharedCache(store, fresh, secret_key="k")
    cache.set("a", "value")
    assert cache.get("a") == "value"
    signed = store.get(f"{fresh}a")
    assert signed is not None
    store.set(f"{fresh}b", signed, None)  # moved to another key
    store.set(f"{fresh}c", signed[32:], None)  # without a signature
    store.set(f"{fresh}d", b"", None)
    for key in "bcd":
        assert cache.get(key) is None
    assert caplog.text.count("its signature is wrong") == 3
    store.set(f"{fresh}e", b"garbage", None)
    assert SharedCache(store, fresh).get("e") is None
    assert "cannot be read" in caplog.text


def test_without_an_engine_there_is_an_error_at_once() -> None:
    app = flask.Flask("shop")
    app.config["CACHE_TYPE"] = "carboy.shared.cache.shared_cache"
    with pytest.raises(ValueError, match="There is no engine for the cache. Set CACHE_URL"):
        flask_caching.Cache(app)


def test_without_its_engine_nothing_is_cached_and_pages_work(
    fresh: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server() as redis:
        app, cache = cache_of(redis.url, fresh)

        @app.get("/page")
        @cache.cached(timeout=100)  # type: ignore[untyped-decorator]
        def page() -> str:
            return f"page {next(numbers)}"

        client = app.test_client()
        first = client.get("/page").text
        redis.stop()
        second = client.get("/page").text
        assert second not in (first, client.get("/page").text)
        with app.app_context():
            assert not cache.set("a", 1)
            assert not cache.add("a", 1)
            assert not cache.has("a")
            assert not cache.delete("a")
            assert not cache.clear()
        assert caplog.text.count("Nothing is cached: Redis at unix://") == 1
        redis.start()
        assert client.get("/page").text == client.get("/page").text
