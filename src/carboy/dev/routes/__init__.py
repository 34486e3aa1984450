"""The routes of an application and a request: which one matches, and why the others do not."""
