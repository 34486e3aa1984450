"""`carboy dev`: serves an application while it is being written."""
