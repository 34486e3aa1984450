"""Dicts and lists beyond the built-in ones: several values for a key, immutable, observed."""
