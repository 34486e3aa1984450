"""A request: its origin (a WSGI environ or an exchange), URL, header fields and body."""
