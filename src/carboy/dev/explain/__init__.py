"""What happened to one request between accept() and the last send(), from a recording of it."""
