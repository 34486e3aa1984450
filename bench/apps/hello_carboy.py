"""The smallest Carboy application, for import time and memory."""

from carboy import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    return "Hello, World!"
