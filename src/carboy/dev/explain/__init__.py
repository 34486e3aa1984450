"""Explains one request from accept() to the last send(), from a recording of all its calls."""
