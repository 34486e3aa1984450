"""The same small application, once for every framework.

Each answers what `payload.py` says: a measurement starts only after one request has
been answered rightly. Nothing here is tuned; it is what each project's guide shows.
"""
