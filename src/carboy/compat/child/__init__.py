"""The folder on PYTHONPATH of child processes, with the code that Python runs when it starts."""
