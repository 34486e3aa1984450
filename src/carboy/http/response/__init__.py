"""A response: its header fields, its body, and what the server is given."""
