"""Clients that wrk cannot be: each runs in a process of its own, on the core of the load."""
