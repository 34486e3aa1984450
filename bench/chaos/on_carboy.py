"""The application on Carboy."""

import carboy
from bench.chaos.views import build

app = build(carboy)
