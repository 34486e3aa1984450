"""The application for Flask and for Carboy: the same code for both."""

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
