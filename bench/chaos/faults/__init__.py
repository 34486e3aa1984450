"""The faults, in the order of the table."""

from bench.chaos.faults import (
    balance,
    canary,
    clients,
    draining,
    killing,
    leaking,
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
    *canary.FAULTS,
    *leaking.FAULTS,
    *shortage.FAULTS,
    *balance.FAULTS,
]
