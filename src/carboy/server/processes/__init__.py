"""The processes of a server: a supervisor, and the workers it starts and replaces."""
