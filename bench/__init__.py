"""Carboy beside its rivals, on the same machine, in the same minutes."""
