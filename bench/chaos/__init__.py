"""Faults under verified load: what a server answers, refuses and loses when something breaks."""
