"""`@cache_response`: responses of views that are used again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import flask
import pytest

import carboy
from carboy import cache_response
from carboy.shared import response_cache as module
from live_engine import eventually, served


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory", module.Memory())


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass."""
    passed = [0.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return 1000.0 + passed[0]

    monkeypatch.setattr(module, "time", Clock)

    def add(seconds: float) -> None:
        passed[0] += seconds

    return add


class Site:
    """An application whose view counts its calls; of Carboy or Flask, plain or a coroutine."""

    def __init__(self, kind: str, *args: Any, **options: Any) -> None:
        flavour = flask.Flask if kind == "flask" else carboy.Carboy
        self.web: Any = flask if kind == "flask" else carboy
        self.app: Any = flavour("cached")
        self.app.secret_key = "k"
        self.calls = 0
        self.make: Callable[[int], Any] = lambda number: f"response {number}"
        if kind == "async":

            async def view(name: str = "") -> Any:
                return self._view()
        else:

            def view(name: str = "") -> Any:  # type: ignore[misc]
                return self._view()

        self.view: Any = cache_response(*args, **options)(view)
        for rule in ("/", "/<name>"):
            self.app.add_url_rule(rule, rule, self.view, methods=["GET", "POST"])
        self.client = self.app.test_client()

    def _view(self) -> Any:
        self.calls += 1
        return self.make(self.calls)

    def get(self, path: str = "/", **fields: str) -> Any:
        return self.client.get(path, headers={k.replace("_", "-"): v for k, v in fields.items()})


KINDS = ("plain", "async", "flask")


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_is_used_again_until_its_time_is_over(
    kind: str, later: Callable[[float], None]
) -> None:
    site = Site(kind, 60)
    first = site.get()
    assert (first.text, first.headers["Cache-Control"]) == ("response 1", "public, max-age=60")
    assert "Age" not in first.headers
    later(10)
    again = site.get()
    assert (again.text, again.headers["Age"]) == ("response 1", "10")
    assert again.content_type == first.content_type
    head = site.client.head("/")
    assert (head.data, head.headers["Age"]) == (b"", "10")
    assert site.get("/?page=2").text == "response 2"
    assert site.get("/other").text == "response 3"
    assert site.client.post("/").text == "response 4"
    tag = again.headers["ETag"]
    assert site.get(If_None_Match=tag).status_code == 304
    later(51)
    assert site.get().text == "response 5"


@pytest.mark.parametrize("kind", KINDS)
def test_vary_selects_the_response(kind: str) -> None:
    site = Site(kind, 60, vary=["Accept-Language"])
    assert site.get(Accept_Language="de").text == "response 1"
    english = site.get(Accept_Language="en")
    assert (english.text, english.headers["Vary"]) == ("response 2", "Accept-Language")
    assert site.get(Accept_Language="de").text == "response 1"


def _cookie(web: Any) -> Any:
    response = web.make_response("x")
    response.set_cookie("a", "b")
    return response


def _session(web: Any) -> Any:
    return f"user {web.session.get('user')}"


def _pieces(web: Any) -> Any:
    return web.Response(iter(["a", "b"]))


NOT_KEPT: dict[str, Callable[[Any], Any]] = {
    "a cookie": _cookie,
    "the session": _session,
    "pieces": _pieces,
    "an error": lambda web: ("x", 404),
    "a field of the request that vary does not name": lambda web: (
        "x",
        {"Vary": "Accept-Language"},
    ),
    "private": lambda web: ("x", {"Cache-Control": "private"}),
}


@pytest.mark.parametrize("kind", ["plain", "flask"])
@pytest.mark.parametrize("name", NOT_KEPT)
def test_a_response_for_one_user_is_not_kept(kind: str, name: str) -> None:
    site = Site(kind, 60)
    site.make = lambda number: NOT_KEPT[name](site.web)
    for _ in range(2):
        assert "max-age" not in site.get().headers.get("Cache-Control", "")
    assert site.calls == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_to_an_authorized_request_is_kept_only_if_the_view_says_so(kind: str) -> None:
    site = Site(kind, 60)
    first, second = (site.get(Authorization=f"Bearer {name}") for name in "ab")
    assert (first.text, second.text) == ("response 1", "response 2")
    assert "Cache-Control" not in second.headers
    assert site.get().text == "response 3"
    site.make = lambda number: (f"response {number}", {"Cache-Control": "public"})
    assert site.get("/shared", Authorization="Bearer a").text == "response 4"
    assert site.get("/shared", Authorization="Bearer b").text == "response 4"
    site = Site(kind, 60, vary=["Authorization"])
    found = [site.get(Authorization=f"Bearer {name}").text for name in "aba"]
    assert found == ["response 1", "response 2", "response 1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stale_response_is_sent_instead_of_an_error(
    kind: str, later: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(kind, 60, stale_if_error=30)
    site.get()

    def fail(number: int) -> Any:
        raise RuntimeError("broken")

    site.make = fail
    later(70)
    assert site.get().text == "response 1"
    assert "RuntimeError: broken" in caplog.text
    later(30)
    assert site.get().status_code == 500


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_that_is_a_response_is_answered_with_it(
    kind: str, later: Callable[[float], None]
) -> None:
    site = Site(kind, 60, stale_if_error=600)
    site.get()
    later(70)
    ends: dict[int, Any] = {
        404: lambda number: site.web.abort(404),
        302: lambda number: site.web.abort(site.web.redirect("/other")),
        200: lambda number: site.web.abort(503),
    }
    for status, site.make in ends.items():
        assert site.get().status_code == status
    assert site.get().text == "response 1"


def test_clear_cache_discards_the_responses_of_a_view() -> None:
    site, other = Site("plain", 60), Site("plain", 60)
    for each in (site, other):
        each.get()
    site.view.clear_cache()
    assert (site.get().text, other.get().text) == ("response 2", "response 1")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stale", [0, 30], ids=["they wait", "they get the old one"])
def test_one_request_at_a_time_makes_the_response(
    kind: str, stale: float, later: Callable[[float], None]
) -> None:
    site = Site(kind, 60, stale_while_revalidate=stale)
    if stale:
        site.client.get("/", base_url="http://example.test")
        later(70)
    begun, release = threading.Event(), threading.Event()

    def slow(number: int) -> str:
        begun.set()
        assert release.wait(60)
        return f"response {number}"

    site.make = slow
    with served(site.app, threads=8) as live:
        clients = [live.client() for _ in range(5)]
        opened = [each.__enter__() for each in clients]
        try:
            opened[0].request("GET", "/")
            if kind == "async":  # the loop is blocked, and the others come after it
                eventually(begun.is_set)
                release.set()
            else:
                eventually(begun.is_set)
            for client in opened[1:]:
                client.request("GET", "/")
            if stale and kind != "async":
                assert {client.reply().body for client in opened[1:]} == {b"response 1"}
                opened = opened[:1]
            release.set()
            newest = b"response 2" if stale else b"response 1"
            assert {client.reply().body for client in opened} == {newest}
        finally:
            release.set()
            for each in clients:
                each.__exit__(None, None, None)
    assert site.calls == (2 if stale else 1)


def test_coroutines_wait_without_a_thread() -> None:
    import asyncio

    app = carboy.Carboy("waiting")
    calls: list[int] = []
    go_on: list[Any] = []

    @app.get("/")
    @cache_response(60)
    async def view() -> str:
        event = asyncio.Event()
        go_on.append((asyncio.get_running_loop(), event))
        calls.append(1)
        await event.wait()
        return "made"

    with served(app, threads=1) as live, live.client() as one, live.client() as two:
        one.request("GET", "/")
        eventually(lambda: go_on)
        two.request("GET", "/")
        loop, event = go_on[0]
        loop.call_soon_threadsafe(event.set)
        assert one.reply().body == two.reply().body == b"made"
    assert len(calls) == 1


def test_memory_is_bounded() -> None:
    memory = module.Memory(10_000)
    for number in range(50):
        memory.keep((None, number), module.Kept([], b"x" * 1000))
        memory.find((None, 0))
        assert memory.used <= 10_000
    assert memory.find((None, 0)) is not None
    assert memory.find((None, 1)) is None


def test_a_time_that_is_not_positive_is_refused() -> None:
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive number of seconds"):
            cache_response(seconds)


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site("plain", 5)
    assert site.view.__name__ == "view"
