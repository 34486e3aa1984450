"""HTTP/2 connections of an engine: a pipe for each, and on it a connection for each request."""
