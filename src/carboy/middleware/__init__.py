"""WSGI middleware, one a file: what stands between a server and an application."""
