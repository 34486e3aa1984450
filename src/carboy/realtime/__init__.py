"""WebSocket and streams of events for ordinary views: what lasts longer than one response."""
