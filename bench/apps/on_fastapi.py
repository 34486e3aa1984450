"""The application on FastAPI."""

from typing import Annotated, Any

from fastapi import FastAPI, Form, UploadFile
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles

from bench.apps import payload

app = FastAPI()


@app.get("/", response_class=PlainTextResponse)
async def hello() -> str:
    return payload.HELLO


@app.get("/json")
async def document() -> dict[str, Any]:
    return payload.DOCUMENT


@app.post("/form", response_class=PlainTextResponse)
async def form(name: Annotated[str, Form()], email: Annotated[str, Form()]) -> str:
    return f"{name} <{email}>"


@app.post("/upload", response_class=PlainTextResponse)
async def upload(file: UploadFile) -> str:
    return str(len(await file.read()))


async def double(number: int) -> str:
    return str(number * 2)


for index in range(payload.ROUTES):
    app.get(f"/section{index}/item/{{number}}", response_class=PlainTextResponse)(double)
app.mount("/static", StaticFiles(directory=payload.STATIC_FOLDER, check_dir=False))
