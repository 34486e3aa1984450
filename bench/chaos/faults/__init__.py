"""The faults, in the order of the table."""

from bench.chaos.faults import (
    balance,
    canary,
    clients,
    clock,
    draining,
    killing,
    leaking,
    names,
    redis_gone,
    reloads,
    shortage,
    soak,
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
    *redis_gone.FAULTS,
    *clock.FAULTS,
    *names.FAULTS,
    *soak.FAULTS,
]
