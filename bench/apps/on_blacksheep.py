"""The application on BlackSheep."""

from pathlib import Path
from typing import Any

from blacksheep import Application, Request, Response, json, text

from bench.apps import payload

app = Application()


@app.router.get("/")
async def hello() -> Response:
    return text(payload.HELLO)


@app.router.get("/json")
async def document() -> Response:
    return json(payload.DOCUMENT)


@app.router.post("/form")
async def form(request: Request) -> Response:
    fields: Any = await request.form()
    return text(f"{fields['name']} <{fields['email']}>")


@app.router.post("/upload")
async def upload(request: Request) -> Response:
    file = (await request.files("file"))[0]
    data: Any = file.data if isinstance(file.data, bytes) else file.file.read()
    return text(str(len(data)))


async def double(number: int) -> Response:
    return text(str(number * 2))


for index in range(payload.ROUTES):
    app.router.add_get(f"/section{index}/item/{{int:number}}", double)
if Path(payload.STATIC_FOLDER).is_dir():
    app.serve_files(payload.STATIC_FOLDER, root_path="static")
