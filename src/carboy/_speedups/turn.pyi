"""Types of turn.pyx."""

from carboy.net.poller import Ready
from carboy.server.connection import Connection
from carboy.server.crew import Lead
from carboy.server.dispatching import Dispatcher
from carboy.server.engine import Engine
from carboy.server.exchange import ServerExchange

class Turn:
    def __init__(self, engine: Engine, dispatcher: Dispatcher, size: int) -> None: ...
    def watch(
        self, slot: list[ServerExchange], look_again: bytearray, interval: float, idle_looks: int
    ) -> int: ...
    def watch_closely(
        self,
        slot: list[ServerExchange],
        look_again: bytearray,
        thread_clock: int,
        pause: float,
        least: float,
        most: float,
        looks: int,
        idle_looks: int,
    ) -> tuple[int, float]: ...
    def read(self, connection: Connection) -> bytes | None: ...
    def read_idle(self, lead: Lead, events: Ready) -> Ready: ...
    def read_next(self, lead: Lead, connection: Connection) -> None: ...
    def dispatch(
        self, lead: Lead, exchange: ServerExchange, data: bytes | None = None, slow: bool = False
    ) -> None: ...
