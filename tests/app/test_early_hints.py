"""`request.early_hints` and `response.early_hints`: a 103 with links before the response."""

from __future__ import annotations

from typing import Any

import pytest

from carboy import (
    Carboy,
    Response,
    render_template_string,
    request,
    stream_template_string,
    url_for,
)
from carboy.app.automatic_hints import EarlyHints
from carboy.app.early_hints import link_of
from carboy.middleware.proxy_fix import ProxyFix
from http2_client import http2, served_h2c
from live_engine import served

STYLE = "</static/page.css>; rel=preload; as=style"


def application(sent: list[bool]) -> Carboy:
    app = Carboy(__name__)

    @app.get("/sync")
    def sync() -> str:
        sent.append(request.early_hints(url_for("static", filename="page.css"), "<https://a>"))
        return "page"

    @app.get("/async")
    async def coroutine() -> str:
        sent.append(request.early_hints("/static/page.css", "<https://a>"))
        return "page"

    @app.get("/response")
    def response() -> Response:
        made = Response("page")
        sent.append(made.early_hints("/static/page.css", "<https://a>"))
        return made

    return app


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("path", ["/sync", "/async", "/response"])
def test_links_come_before_the_response(path: str, wrapped: bool) -> None:
    sent: list[bool] = []
    app = application(sent)
    if wrapped:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    with served_h2c(app) as live, http2(live) as client:
        reply = client.get(path)
        assert (reply.interim, reply.status, reply.body) == ([103], 200, b"page")
        assert reply.hints == [STYLE, "<https://a>"]
        in_response = [value for name, value in reply.fields if name == "link"]
        assert in_response == (reply.hints if path == "/response" else [])
    assert sent == [True]


@pytest.mark.parametrize("path", ["/sync", "/async", "/response"])
def test_clients_of_http_1_get_only_the_response(path: str) -> None:
    sent: list[bool] = []
    with served(application(sent)) as live:
        assert live.get(path).body == b"page"
    assert application(sent).test_client().get(path).text == "page"
    assert sent == [False, False]


def test_without_links_nothing_is_sent() -> None:
    app = Carboy(__name__)
    app.add_url_rule("/", "page", lambda: str(request.early_hints()))
    with served_h2c(app) as live, http2(live) as client:
        reply = client.get("/")
        assert (reply.interim, reply.body) == ([], b"False")


@pytest.mark.parametrize(
    ("link", "value"),
    [
        ("/a/b.css?v=1", "</a/b.css?v=1>; rel=preload; as=style"),
        ("https://cdn.example/a.JS", "<https://cdn.example/a.JS>; rel=preload; as=script"),
        ("a.mjs", "<a.mjs>; rel=modulepreload"),
        ("/f.woff2", "</f.woff2>; rel=preload; as=font; crossorigin"),
        ("/i.png", "</i.png>; rel=preload; as=image"),
        ("</x>; rel=preconnect", "</x>; rel=preconnect"),
    ],
)
def test_the_kind_of_a_file_is_known_by_its_extension(link: str, value: str) -> None:
    assert link_of(link) == value


@pytest.mark.parametrize("link", ["/data", "/data.json", "", "/a>.css", "/a b.css"])
def test_other_urls_are_refused_with_advice(link: str) -> None:
    with pytest.raises(ValueError, match="Write the whole link, such as"):
        link_of(link)


def test_outside_of_a_request_there_is_a_clear_error() -> None:
    response: Any = Response("x")
    with pytest.raises(RuntimeError, match="outside of request context"):
        response.early_hints("/a.css")


# --- automatic

NAVIGATION = [("sec-fetch-mode", "navigate")]


@pytest.fixture
def shop() -> Carboy:
    app = Carboy(__name__)
    EarlyHints(app)
    page = (
        "{{ url_for('static', filename='page.css') }} {{ url_for('static', filename=name) }}"
        " {{ url_for('page', name='x') }} {{ url_for('static', filename='page.css') }}"
    )

    @app.get("/<name>")
    def page_of(name: str) -> str:
        return render_template_string(page, name=name)

    app.add_url_rule("/page/<name>", "page", page_of)

    @app.get("/broken")
    def broken() -> tuple[str, int]:
        return render_template_string(page, name="a.js"), 500

    return app


def test_a_page_is_hinted_from_its_second_time_on(shop: Carboy) -> None:
    with served_h2c(shop) as live, http2(live) as client:
        first, second = (client.get("/a.js", fields=NAVIGATION) for _ in range(2))
        assert (
            first.body == second.body == b"/static/page.css /static/a.js /page/x /static/page.css"
        )
        assert (first.hints, second.hints) == (
            [],
            [STYLE, "</static/a.js>; rel=preload; as=script"],
        )
        assert client.get("/data.json", fields=NAVIGATION).hints == second.hints
        assert client.get("/a.js", fields=NAVIGATION).hints == [STYLE]  # the last response


def test_only_navigations_over_http_2_are_hinted(shop: Carboy) -> None:
    with served_h2c(shop) as live, http2(live) as client:
        for _ in range(2):
            assert client.get("/a.js").hints == []
        assert live.get("/a.js", **{"Sec-Fetch-Mode": "navigate"}).status == 200


def test_failed_responses_teach_nothing(shop: Carboy) -> None:
    with served_h2c(shop) as live, http2(live) as client:
        for _ in range(2):
            reply = client.get("/broken", fields=NAVIGATION)
            assert (reply.status, reply.hints) == (500, [])


def test_urls_with_a_host_are_left_out(shop: Carboy) -> None:
    text = (
        "{{ url_for('static', filename='a.css', _external=True) }}"
        " {{ url_for('static', filename='b.css') }}"
    )
    shop.add_url_rule("/mail/<name>", "mail", lambda name: render_template_string(text))
    with served_h2c(shop) as live, http2(live) as client:
        client.get("/mail/x", fields=NAVIGATION)
        assert client.get("/mail/x", fields=NAVIGATION).hints == [
            "</static/b.css>; rel=preload; as=style"
        ]


def test_a_template_that_is_streamed_is_hinted_as_well(shop: Carboy) -> None:
    text = "{% for name in ['a', 'b'] %}{{ url_for('static', filename=name ~ '.css') }}{% endfor %}"
    shop.add_url_rule("/stream/<name>", "stream", lambda name: stream_template_string(text))
    with served_h2c(shop) as live, http2(live) as client:
        client.get("/stream/x", fields=NAVIGATION)
        assert client.get("/stream/x", fields=NAVIGATION).hints == [
            "</static/a.css>; rel=preload; as=style",
            "</static/b.css>; rel=preload; as=style",
        ]


def test_the_url_for_of_an_application_is_called(shop: Carboy) -> None:
    def dated(endpoint: str, **values: Any) -> str:
        return url_for(endpoint, **values, v=1)

    shop.jinja_env.globals["url_for"] = dated
    with served_h2c(shop) as live, http2(live) as client:
        first = client.get("/a.js", fields=NAVIGATION)
        assert first.body.startswith(b"/static/page.css?v=1 ")
        assert client.get("/a.js", fields=NAVIGATION).hints[0] == (
            "</static/page.css?v=1>; rel=preload; as=style"
        )


def test_the_number_of_pages_is_bounded(shop: Carboy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carboy.app.automatic_hints.MOST_PAGES", 2)
    hints = EarlyHints(shop)
    client = shop.test_client()
    for prefix in ("/1", "/2", "/3"):
        client.get("/a.js", environ_overrides={"SCRIPT_NAME": prefix})
    assert len(hints._links) == 1
