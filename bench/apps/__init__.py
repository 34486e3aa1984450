"""The same small application for each framework, written as its documentation shows.

The responses are in `payload.py`. A measurement starts only after a right response.
"""
