"""HTTP/2 (RFC 9113) for a server, without sockets, clock or log.

    session   one connection: bytes in, events and bytes out
    sections  field sections of the client: their frames and compression
    frames    taken apart and put together
    payloads  of frames with a fixed form, read and checked
    stream    one request and its response, as a ConnectionMachine (protocol/interface.py)
    priority  of responses: which one is sent first
    request   the field section of a request, checked
    blocks    field sections of responses, encoded
    limits    how much one connection may ask for
    codes     numbers of frames, errors and settings

Only `sections` needs the package hpack, which decodes field sections (RFC 7541).
"""
