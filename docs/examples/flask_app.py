"""The application of the report flask-tcp-connections.md: a view that reads the request."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/hello")
def hello():
    name = request.args.get("name", "world")
    agent = request.headers["User-Agent"]
    return f"Hello {name}, you use {agent}.\n"
