"""Files of folders, answered before the application is called (docs/static-files.md)."""
