"""Certificates that the server gets and renews by itself (ACME, RFC 8555).

    settings   names, authority and folder, as the user gives them; names (of hosts)
    store      the files of the state folder; lock (one process works at a time)
    renewal    decides when the next attempt is made
    keeper     the thread that orders and renews; attempt (one order, with its log lines)
    order      one order from the names to the chain; challenges; client, jws (the protocol)
    problems   errors of an authority, with advice

Only attempt, order, challenges, client and jws need the package cryptography.
"""
