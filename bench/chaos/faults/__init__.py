"""The faults, in the order of the table."""

from bench.chaos.faults import balance, clients, killing, shortage, stops, waiting

FAULTS = [
    *killing.FAULTS,
    *waiting.FAULTS,
    *clients.FAULTS,
    *stops.FAULTS,
    *shortage.FAULTS,
    *balance.FAULTS,
]
