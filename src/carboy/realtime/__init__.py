"""Streams of events to clients: server-sent events, and what an ordinary view needs for them."""
