"""Tools for development: reloading, the debugger, and pages that refresh themselves."""
