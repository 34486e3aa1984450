"""The application on Flask."""

import flask

from bench.chaos.views import build

app = build(flask)
