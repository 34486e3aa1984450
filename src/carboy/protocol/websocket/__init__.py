"""WebSocket (RFC 6455) with permessage-deflate (RFC 7692): bytes in, messages out.

handshake     the request that asks for a WebSocket, and the response that accepts it
origins       the sites whose pages may ask for one
deflate       negotiation of the compression, and its contexts
connection    frames and messages of an open connection

Knows no socket, clock or log. `deflate` and `connection` use the sans-I/O layer of the package
websockets (the extra `carboy[websocket]`); `handshake` does not, so that the server can say that
the package is missing.
"""
