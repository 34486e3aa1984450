"""The same small application on each ASGI framework, as its documentation says."""
