"""`carboy profile`, and the formats of its result.

command      the command
profile      the samples of all workers, added up
text         the tables in a terminal, and collapsed stacks
speedscope   the format of https://www.speedscope.app
page         one HTML page with a flame chart
"""
