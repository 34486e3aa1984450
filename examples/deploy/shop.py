"""The application of the examples: replace it by your own."""

from carboy import Carboy

app = Carboy(__name__)


@app.get("/")
def home() -> str:
    return "It works.\n"


@app.get("/health")
def health() -> str:
    return "ok\n"
