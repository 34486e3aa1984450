"""Faults under verified load: what a server answers, refuses and loses on the bad day."""
