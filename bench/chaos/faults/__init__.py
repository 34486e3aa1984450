"""The faults, in the order of the table."""

from bench.chaos.faults import killing

FAULTS = [*killing.FAULTS]
