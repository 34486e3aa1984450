"""The application on Falcon."""

import hmac
import tempfile
from typing import Any

import falcon

from bench.apps import payload


class Hello:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = falcon.MEDIA_TEXT
        response.text = payload.HELLO


class Document:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = payload.DOCUMENT


class Double:
    def on_get(self, request: falcon.Request, response: falcon.Response, number: int) -> None:
        response.content_type = falcon.MEDIA_TEXT
        response.text = str(number * 2)


class Form:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        form: dict[str, Any] = request.get_media()
        response.content_type = falcon.MEDIA_TEXT
        response.text = f"{form['name']} <{form['email']}>"


class Upload:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = falcon.MEDIA_TEXT
        for part in request.get_media():
            if part.name == "file":
                response.text = str(len(part.stream.read()))


class Order:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        scheme, _, token = (request.get_header("Authorization") or "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(token, payload.TOKEN):
            raise falcon.HTTPUnauthorized
        response.media = payload.confirmed(request.get_media())


class Store:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = falcon.MEDIA_TEXT
        for part in request.get_media():
            if part.name == "file":
                with tempfile.TemporaryFile() as file:
                    part.stream.pipe(file)
                    response.text = str(file.tell())


class Stream:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = "application/octet-stream"
        response.stream = payload.pieces()


app = falcon.App()
app.add_route("/api/orders", Order())
app.add_route("/store", Store())
app.add_route("/stream", Stream())
app.add_route("/", Hello())
app.add_route("/json", Document())
app.add_route("/form", Form())
app.add_route("/upload", Upload())
app.add_static_route("/static", payload.STATIC_FOLDER)
for index in range(payload.ROUTES):
    app.add_route(f"/section{index}/item/{{number:int}}", Double())
