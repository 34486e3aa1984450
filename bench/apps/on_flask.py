"""The application on Flask."""

import flask

from bench.apps.views import build

app = build(flask)
