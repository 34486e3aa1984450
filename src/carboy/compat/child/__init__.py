"""Put on PYTHONPATH for child processes: nothing but what Python runs at their start."""
