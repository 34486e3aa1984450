"""The application on Carboy."""

import carboy
from bench.apps.views import build

app = build(carboy)
