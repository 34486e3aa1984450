"""`carboy learn`: serves the exercises, and asks and answers in the terminal and in the browser."""
