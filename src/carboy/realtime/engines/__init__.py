"""Engines that carry messages between machines: Redis, NATS and PostgreSQL, chosen by a URL."""
