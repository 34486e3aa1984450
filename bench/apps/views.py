"""The application for Flask and for Carboy: the same code for both."""

import hmac
import tempfile
from types import ModuleType
from typing import Any

from bench.apps import payload


def build(framework: ModuleType) -> Any:
    """The application, made with `framework` (flask or carboy)."""
    app = framework.Flask("bench", static_folder=payload.STATIC_FOLDER, static_url_path="/static")
    request = framework.request

    @app.get("/")
    def hello() -> str:
        return payload.HELLO

    @app.get("/json")
    def document() -> dict[str, Any]:
        return payload.DOCUMENT

    @app.post("/form")
    def form() -> str:
        return f"{request.form['name']} <{request.form['email']}>"

    @app.post("/upload")
    def upload() -> str:
        return str(len(request.files["file"].read()))

    @app.post("/api/orders")
    def order() -> Any:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(token, payload.TOKEN):
            return {"error": "The token is not valid."}, 401
        return payload.confirmed(request.get_json())

    @app.post("/store")
    def store() -> str:
        with tempfile.TemporaryFile() as file:
            request.files["file"].save(file)
            return str(file.tell())

    @app.get("/stream")
    def stream() -> Any:
        return app.response_class(payload.pieces(), mimetype="application/octet-stream")

    @app.get("/sleep")
    def sleep() -> str:
        return payload.sleep_always()

    @app.get("/sometimes")
    def sometimes() -> str:
        return payload.sleep_sometimes()

    @app.get("/cpu")
    def cpu() -> str:
        return payload.compute()

    def double(number: int) -> str:
        return str(number * 2)

    for index in range(payload.ROUTES):
        app.add_url_rule(f"/section{index}/item/<int:number>", f"double{index}", double)
    return app
