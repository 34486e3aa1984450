"""Types of cycle.pyx."""

from collections.abc import Hashable, Mapping
from typing import Any

from carboy.app.interface import Application
from carboy.gateway.interface import Answer, Exchange

def prepare(names: Mapping[str, Any]) -> None: ...

class Lane:
    app: Application
    state: dict[str, Any]
    def __init__(self, app: Application) -> None: ...
    def prepare(self, exchange: Exchange) -> Hashable: ...
    def handle(self, exchange: Exchange) -> Answer: ...
