"""`make screenshots`: the pictures of docs/operations.md, in docs/images.

A shop with routes of different kinds is served by `carboy run` with two workers, and visited by
clients. `carboy top` and `carboy profile` look at it, as in production.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from screenshots import CARBOY, PAGE, PATIENCE, Terminal, as_html, launched, picture

PORT = 8000
APPLICATION = """\
import json
import time

from carboy import Flask, abort

app = Flask(__name__)
PRODUCTS = {number: {"name": f"Lamp {number}", "price": 10 + number} for number in range(500)}


@app.get("/")
def index():
    return "Welcome"


@app.get("/products/<int:number>")
def product(number):
    return PRODUCTS.get(number) or abort(404)


@app.get("/search")
def search():
    found = [each for each in PRODUCTS.values() if "7" in each["name"]]
    return describe(sorted(found, key=lambda each: each["price"]))


def describe(products):
    return [json.loads(json.dumps(each)) for each in products * 20]


@app.post("/checkout")
def checkout():
    pay()
    return {"paid": True}


def pay():
    time.sleep(0.4)  # the service that takes the money


@app.get("/export")
def export():
    return "no", 503
"""
VISITS = (
    ("GET", "/", 30), ("GET", "/products/42", 20), ("GET", "/products/9999", 2),
    ("GET", "/search", 12), ("POST", "/checkout", 10), ("GET", "/export", 1),
)  # fmt: skip
CLIENTS = 12
SCREEN = "\x1b[H"  # where `carboy top` begins to write a screen


def visit(over: threading.Event, seed: int) -> None:
    chosen = random.Random(seed)
    client = HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
    while not over.is_set():
        [(method, path, _)] = chosen.choices(VISITS, weights=[each[2] for each in VISITS])
        client.request(method, path)
        client.getresponse().read()
        time.sleep(chosen.random() / 20)
    client.close()


@contextmanager
def visited(folder: Path) -> Iterator[None]:
    """The shop, with clients."""
    server = Terminal(
        [str(CARBOY), "run", "shop:app", "-p", str(PORT), "--workers=2", "--no-access-log"], folder
    )
    over = threading.Event()
    clients = [threading.Thread(target=visit, args=(over, number)) for number in range(CLIENTS)]
    try:
        server.wait_for(r"127\.0\.0\.1")
        for each in clients:
            each.start()
        yield
    finally:
        over.set()
        for each in clients:
            if each.ident is not None:
                each.join()
        server.close()


def last_screen(folder: Path) -> str:
    """The screen of `carboy top` after some intervals, with a request in flight."""
    top = Terminal([str(CARBOY), "top", "--interval", "1"], folder, size=(27, 110))
    try:
        for count in range(4, 60):
            top.wait_for("(?s)" + f".*{SCREEN}".replace("[", r"\[") * count)
            screen = top.text.split(SCREEN)[-2]
            if "pay" in screen:  # a request is in flight
                return screen.replace("\x1b[K", "").replace("\x1b[J", "")
    finally:
        top.close()
    raise TimeoutError("`carboy top` has shown no request in flight.")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, launched() as browser:
        folder = Path(temporary) / "shop"
        folder.mkdir()
        (folder / "shop.py").write_text(APPLICATION)
        with visited(folder):
            screen = last_screen(folder).replace(temporary, "/home/ada").rstrip()
            profile = [str(CARBOY), "profile", "4s", "-o", "flame.html"]
            subprocess.run(profile, cwd=folder, check=True, capture_output=True)
        page = Path(temporary) / "top.html"
        page.write_text(PAGE.format(text=as_html(f"$ carboy top\n{screen}")))
        picture(browser, "top", page.as_uri(), element="pre")
        picture(browser, "profile", (folder / "flame.html").as_uri())


if __name__ == "__main__":
    main()
