"""The faults, in the order of the table."""

from bench.chaos.faults import (
    balance,
    clients,
    draining,
    killing,
    reloads,
    shortage,
    stops,
    waiting,
)

FAULTS = [
    *killing.FAULTS,
    *waiting.FAULTS,
    *clients.FAULTS,
    *stops.FAULTS,
    *reloads.FAULTS,
    *draining.FAULTS,
    *shortage.FAULTS,
    *balance.FAULTS,
]
