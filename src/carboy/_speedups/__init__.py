"""Compiled twins of functions that run for every request (docs/speed.md).

Each module is a Cython file, built only when asked for. `carboy.speedups` decides whether they run;
nothing else imports them. Every function here has a twin in Python, which the tests feed with the
same input, and returns None for what it leaves to the twin.
"""
