"""Responses that are kept and used again, per worker (docs/static-files.md, Cache)."""
