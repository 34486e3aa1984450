"""Applications of frameworks people use, served as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from live_engine import served

BODY = b'{"name": "carboy", "size": 5}'
JSON = {"Content-Type": "application/json"}


def flask_app(folder: Path) -> Any:
    import flask

    app = flask.Flask(__name__, root_path=str(folder))
    app.secret_key = "test"

    @app.get("/hello/<name>")
    def hello(name: str) -> Any:
        flask.session["name"] = name
        return {"name": name, "url": flask.request.url, "peer": flask.request.remote_addr}

    @app.post("/json")
    def received() -> Any:
        return flask.request.get_json()

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response(flask.stream_with_context(f"{n}\n" for n in range(3)))

    @app.get("/file")
    def file() -> Any:
        return flask.send_file(folder / "file.bin", conditional=True)

    @app.get("/boom")
    def boom() -> Any:
        raise LookupError("on purpose")

    return app


def test_a_flask_application(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2000
    (tmp_path / "file.bin").write_bytes(content)
    with served(flask_app(tmp_path)) as live, live.client() as client:
        client.request("GET", "/hello/w%C3%B6rld?q=1")
        reply = client.reply()
        assert json.loads(reply.body) == {
            "name": "wörld",
            "url": "http://example.test/hello/wörld?q=1",
            "peer": "127.0.0.1",
        }
        assert reply.headers["Set-Cookie"].startswith("session=")
        client.request("POST", "/json", JSON, BODY)
        assert json.loads(client.reply().body) == json.loads(BODY)
        client.request("GET", "/stream")
        assert client.reply().body == b"0\n1\n2\n"
        client.request("GET", "/file")
        assert client.reply().body == content
        client.request("GET", "/file", {"Range": "bytes=100-199"})
        reply = client.reply()
        assert (reply.status, reply.body) == (206, content[100:200])
        client.request("HEAD", "/hello/x")
        assert client.reply("HEAD").headers["Content-Type"] == "application/json"
        client.request("GET", "/boom")
        assert client.reply().status == 500
        client.request("GET", "/nowhere")
        assert client.reply().status == 404


class _Routes:
    """The object that Django uses as the module with its routes."""

    urlpatterns: list[Any] = []


def django_app() -> Any:
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            DEBUG=False,
            SECRET_KEY="test",
            ROOT_URLCONF=_Routes,
            ALLOWED_HOSTS=["*"],
            MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        )
        django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
    from django.urls import path

    def hello(request: HttpRequest, name: str) -> HttpResponse:
        return HttpResponse(f"{request.method} {name} {request.GET.get('q')}")

    def upload(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.FILES["file"].read() + request.POST["field"].encode())

    def stream(request: HttpRequest) -> Any:
        return StreamingHttpResponse(str(n) for n in range(3))

    def file(request: HttpRequest) -> Any:
        return FileResponse(Path(__file__).open("rb"))

    _Routes.urlpatterns = [
        path("hello/<name>", hello),
        path("upload", upload),
        path("stream", stream),
        path("file", file),
    ]
    return WSGIHandler()


MULTIPART = (
    b"--x\r\nContent-Disposition: form-data; name=field\r\n\r\nvalue\r\n"
    b'--x\r\nContent-Disposition: form-data; name=file; filename="f.bin"\r\n\r\n'
    b"content\r\n--x--\r\n"
)


def test_a_django_application() -> None:
    with served(django_app()) as live, live.client() as client:
        client.request("GET", "/hello/you?q=1")
        assert client.reply().body == b"GET you 1"
        client.request(
            "POST", "/upload", {"Content-Type": "multipart/form-data; boundary=x"}, MULTIPART
        )
        assert client.reply().body == b"contentvalue"
        client.request("GET", "/stream")
        assert client.reply().body == b"012"
        client.request("GET", "/file")
        assert client.reply().body == Path(__file__).read_bytes()
        client.request("GET", "/nowhere")
        assert client.reply().status == 404


def test_a_falcon_application(tmp_path: Path) -> None:
    import falcon

    (tmp_path / "static.txt").write_bytes(b"static " * 50_000)

    class Hello:
        def on_get(self, request: Any, response: Any, name: str) -> None:
            response.media = {"name": name, "q": request.get_param("q")}

        def on_post(self, request: Any, response: Any, name: str) -> None:
            response.media = request.get_media()
            response.set_header("X-Name", name)

    class Stream:
        def on_get(self, request: Any, response: Any) -> None:
            response.stream = iter([b"a", b"b"])

    app = falcon.App()
    app.add_route("/hello/{name}", Hello())
    app.add_route("/stream", Stream())
    app.add_static_route("/static", str(tmp_path))
    with served(app) as live, live.client() as client:
        client.request("GET", "/hello/you?q=1")
        assert json.loads(client.reply().body) == {"name": "you", "q": "1"}
        client.request("POST", "/hello/you", JSON, BODY)
        reply = client.reply()
        assert json.loads(reply.body) == json.loads(BODY)
        assert reply.headers["X-Name"] == "you"
        client.request("GET", "/stream")
        assert client.reply().body == b"ab"
        client.request("GET", "/static/static.txt")
        assert client.reply().body == b"static " * 50_000
        client.request("GET", "/nowhere")
        assert client.reply().status == 404
