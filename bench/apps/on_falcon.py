"""The application on Falcon."""

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


app = falcon.App()
app.add_route("/", Hello())
app.add_route("/json", Document())
app.add_route("/form", Form())
app.add_route("/upload", Upload())
app.add_static_route("/static", payload.STATIC_FOLDER)
for index in range(payload.ROUTES):
    app.add_route(f"/section{index}/item/{{number:int}}", Double())
