"""The page on Flask."""

import flask
from werkzeug.middleware.proxy_fix import ProxyFix

from bench.apps.page import build

app = build(flask, ProxyFix)
