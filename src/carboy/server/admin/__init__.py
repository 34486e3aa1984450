"""The admin server: questions about a running server, and commands to it, as HTTP with JSON.

settings     where it listens
listening    its sockets and its token
server       its loop, which never blocks; peer is one of its connections
paths        which handler answers a path; `call` is one request for a handler
table        all paths
operations   what a handler can know and do (supervised and alone have it for a server with a
             supervisor and without)
questions    questions to workers, which have a time limit
answering    a worker's answers to them
status       GET /status
profile      GET /profile; sampling and call_tree make it
top          GET /top
"""
