"""The page on Carboy."""

import carboy
from bench.apps.page import build
from carboy.middleware.proxy_fix import ProxyFix

app = build(carboy, ProxyFix)
