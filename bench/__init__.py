"""Benchmarks of Carboy and of other servers and frameworks."""
