"""Types of routes.pyx."""

from carboy.routing.fast_path import FastPath, Match
from carboy.routing.trie import Search

def lookup(tables: FastPath, method: str, path: str) -> Match | Search | None: ...
