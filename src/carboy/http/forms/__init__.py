"""Forms in the body of a request: urlencoded and multipart."""
