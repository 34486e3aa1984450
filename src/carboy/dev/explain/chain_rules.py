"""The functions that are steps of serving: what each of them does, for all servers.

A rule is the start of a module's name, the qualified name of a function, and a title. The first
call of the function is the step. For C functions the module is empty.
"""

from __future__ import annotations

from carboy.dev.explain import steps

Rule = tuple[str, str, str]

STANDARD_LIBRARY: tuple[Rule, ...] = (
    ("socketserver", "TCPServer.__init__", "The base class of the server makes the socket"),
    ("http.server", "HTTPServer.server_bind", "The HTTP server is bound to its address"),
    ("socketserver", "TCPServer.server_bind", "The TCP server binds its socket"),
    ("socketserver", "TCPServer.server_activate", "The TCP server begins to listen"),
    ("socketserver", "BaseServer.serve_forever", "The loop that waits for connections starts"),
    ("socketserver", "BaseServer._handle_request_noblock", "The loop has a new connection"),
    ("socketserver", "TCPServer.get_request", "The TCP server accepts the connection"),
    ("socket", "socket.accept", "The next connection is taken from the queue"),
    ("socketserver", "ThreadingMixIn.process_request", "A thread is started for the connection"),
    ("socketserver", "ThreadingMixIn.process_request_thread", "The thread serves the connection"),
    ("socketserver", "BaseServer.finish_request", "A handler is made for the connection"),
    ("socketserver", "BaseRequestHandler.__init__", "The handler sets itself up and runs"),
    ("socketserver", "StreamRequestHandler.setup", "The socket gets file objects"),
    ("http.server", "BaseHTTPRequestHandler.handle", "The handler handles one request or more"),
    ("http.server", "BaseHTTPRequestHandler.handle_one_request", "The request line is read"),
    ("http.server", "BaseHTTPRequestHandler.parse_request", "The request line is parsed"),
    ("http.client", "parse_headers", "The header is parsed"),
    ("http.client", "_read_headers", "The lines of the header are read"),
    ("email.parser", "Parser.parsestr", "The text of the header is parsed as for an e-mail"),
    ("email.feedparser", "FeedParser._parse_headers", "The header is split into names and values"),
    ("http.server", "BaseHTTPRequestHandler.send_response", "The status line is prepared"),
    ("http.server", "BaseHTTPRequestHandler.end_headers", "The response header is complete"),
    ("socketserver", "_SocketWriter.write", "The bytes are given to the socket"),
    ("socketserver", "StreamRequestHandler.finish", "The file objects are closed"),
    ("socketserver", "TCPServer.shutdown_request", "The connection is shut down"),
    ("socketserver", "TCPServer.close_request", "The server closes the connection"),
    ("socketserver", "ThreadingMixIn.server_close", "The server waits for its threads"),
    ("socketserver", "TCPServer.server_close", "The TCP server closes its socket"),
)
WERKZEUG: tuple[Rule, ...] = (
    ("flask.cli", "main", "The flask command starts"),
    ("flask.cli", "run_command", "The `run` command of Flask is called"),
    ("flask.cli", "ScriptInfo.load_app", "The command loads the application"),
    ("flask", "Flask.run", "Flask starts its development server"),
    ("werkzeug.serving", "run_simple", "The application is served"),
    ("werkzeug.serving", "make_server", "The kind of server is chosen"),
    ("werkzeug.serving", "BaseWSGIServer.__init__", "The server object is made"),
    ("werkzeug.serving", "BaseWSGIServer.serve_forever", "The server starts to serve"),
    ("werkzeug.serving", "WSGIRequestHandler.handle", "The handler starts"),
    ("werkzeug.serving", "WSGIRequestHandler.run_wsgi", "The request becomes a WSGI call"),
    ("werkzeug.serving", "WSGIRequestHandler.make_environ", "The WSGI environ is built"),
    ("werkzeug.serving", "WSGIRequestHandler.run_wsgi.<locals>.execute", "The WSGI call is made"),
    ("werkzeug.serving", "WSGIRequestHandler.run_wsgi.<locals>.start_response",
     "The application gives status and header fields"),
    ("werkzeug.serving", "WSGIRequestHandler.run_wsgi.<locals>.write",
     "The first piece of the response is written"),
)  # fmt: skip
FLASK: tuple[Rule, ...] = (
    ("flask", "Flask.__call__", "The application is called"),
    ("flask", "RequestContext.__init__", "The request object and the context are made"),
    ("werkzeug", "Request.__init__", "The request object takes over the environ"),
    ("flask", "Flask.full_dispatch_request", "The request is dispatched"),
    ("flask", "Flask.dispatch_request", "The view for the rule is called"),
    ("flask", "Flask.finalize_request", "The response is completed"),
    ("werkzeug", "Response.__call__", "The response object answers the WSGI call"),
    ("flask", "RequestContext.pop", "The contexts are removed"),
)
WSGIREF: tuple[Rule, ...] = (
    ("wsgiref.simple_server", "make_server", "The server is made"),
    ("wsgiref.simple_server", "WSGIServer.server_bind", "The WSGI server is bound to its address"),
    ("wsgiref.simple_server", "WSGIServer.setup_environ", "The parts of all environs are prepared"),
    ("wsgiref.simple_server", "WSGIRequestHandler.handle", "The handler starts"),
    ("wsgiref.simple_server", "WSGIRequestHandler.get_environ", "The WSGI environ is built"),
    ("wsgiref.handlers", "BaseHandler.run", "The WSGI call is made"),
    ("wsgiref.handlers", "BaseHandler.setup_environ", "The WSGI environ is completed"),
    ("wsgiref.handlers", "BaseHandler.start_response",
     "The application gives status and header fields"),
    ("wsgiref.handlers", "BaseHandler.finish_response", "The pieces of the response are sent"),
    ("wsgiref.handlers", "BaseHandler.send_headers", "The response header is complete"),
)  # fmt: skip
GUNICORN: tuple[Rule, ...] = (
    ("gunicorn.app.wsgiapp", "run", "The gunicorn command starts"),
    ("gunicorn.app.base", "Application.load_config", "The options are read"),
    ("gunicorn.app.base", "Application.run", "The gunicorn application runs"),
    ("gunicorn.arbiter", "Arbiter.__init__", "The arbiter is made"),
    ("gunicorn.arbiter", "Arbiter.run", "The arbiter runs"),
    ("gunicorn.arbiter", "Arbiter.start", "The arbiter prepares its sockets"),
    ("gunicorn.sock", "create_sockets", "The listening sockets are made"),
    ("gunicorn.sock", "BaseSocket.__init__", "The socket is set up"),
    ("gunicorn.sock", "BaseSocket.bind", "The socket object is bound"),
    ("gunicorn.arbiter", "Arbiter.spawn_worker", "The arbiter starts a worker"),
    ("gunicorn.workers.base", "Worker.init_process", "The worker process is set up"),
    ("gunicorn.workers.base", "Worker.load_wsgi", "The worker loads the application"),
    ("gunicorn.workers.sync", "SyncWorker.run", "The worker starts to serve"),
    ("gunicorn.workers.sync", "SyncWorker.accept", "The worker accepts the connection"),
    ("gunicorn.workers.gthread", "ThreadWorker.run", "The worker starts to serve"),
    ("gunicorn.workers.gthread", "ThreadWorker.accept", "The worker accepts the connection"),
    ("gunicorn.workers.sync", "SyncWorker.handle", "The worker handles the connection"),
    ("gunicorn.workers.gthread", "ThreadWorker.handle", "The worker handles the connection"),
    ("gunicorn.http.parser", "Parser.__next__", "The parser is asked for a request"),
    ("gunicorn.http.message", "Request.__init__", "The request is made from the bytes"),
    ("gunicorn.http.unreader", "SocketUnreader.chunk", "Bytes are requested from the socket"),
    ("gunicorn.http.message", "Request.parse_request_line", "The request line is parsed"),
    ("gunicorn.http.message", "Message.parse_headers", "The header is parsed"),
    ("gunicorn.workers.sync", "SyncWorker.handle_request", "The request becomes a WSGI call"),
    ("gunicorn.workers.gthread", "ThreadWorker.handle_request", "The request becomes a WSGI call"),
    ("gunicorn.http.wsgi", "create", "The WSGI environ is built"),
    ("gunicorn.http.wsgi", "Response.start_response",
     "The application gives status and header fields"),
    ("gunicorn.http.wsgi", "Response.write", "The first piece of the response is written"),
    ("gunicorn.http.wsgi", "Response.send_headers", "The response header is complete"),
    ("gunicorn.http.wsgi", "Response.close", "The response is complete"),
    ("gunicorn.arbiter", "Arbiter.halt", "The arbiter stops"),
    ("gunicorn.arbiter", "Arbiter.stop", "The arbiter stops its workers"),
    ("gunicorn.workers.base", "Worker.handle_exit", "The worker stops"),
)  # fmt: skip
WAITRESS: tuple[Rule, ...] = (
    ("waitress", "serve", "The application is served"),
    ("waitress.server", "create_server", "The kind of server is chosen"),
    ("waitress.task", "ThreadedTaskDispatcher.set_thread_count", "The threads are started"),
    ("waitress.server", "BaseWSGIServer.__init__", "The server object is made"),
    ("waitress.wasyncore", "dispatcher.create_socket", "The server makes its socket"),
    ("waitress.server", "TcpWSGIServer.bind_server_socket", "The server binds its socket"),
    ("waitress.wasyncore", "dispatcher.bind", "The socket object is bound"),
    ("waitress.server", "BaseWSGIServer.accept_connections", "The server begins to listen"),
    ("waitress.server", "BaseWSGIServer.run", "The server starts to serve"),
    ("waitress.wasyncore", "loop", "The loop that waits for connections starts"),
    ("waitress.server", "BaseWSGIServer.handle_accept", "The loop has a new connection"),
    ("waitress.channel", "HTTPChannel.__init__", "A channel is made for the connection"),
    ("waitress.channel", "HTTPChannel.handle_read", "The loop has bytes to read"),
    ("waitress.channel", "HTTPChannel.received", "The channel gives the bytes to the parser"),
    ("waitress.parser", "HTTPRequestParser.received", "The parser looks for the end of the header"),
    ("waitress.parser", "HTTPRequestParser.parse_header", "The header is parsed"),
    ("waitress.parser", "crack_first_line", "The request line is parsed"),
    ("waitress.task", "ThreadedTaskDispatcher.add_task", "The request is given to a thread"),
    ("waitress.channel", "HTTPChannel.service", "The thread handles the request"),
    ("waitress.task", "WSGITask.execute", "The request becomes a WSGI call"),
    ("waitress.task", "WSGITask.get_environment", "The WSGI environ is built"),
    ("waitress.task", "WSGITask.execute.<locals>.start_response",
     "The application gives status and header fields"),
    ("waitress.task", "Task.write", "The first piece of the response is written"),
    ("waitress.task", "Task.build_response_header", "The response header is complete"),
    ("waitress.channel", "HTTPChannel.handle_close", "The channel is closed"),
    ("waitress.task", "ThreadedTaskDispatcher.shutdown", "The threads are stopped"),
)  # fmt: skip
CARBOY: tuple[Rule, ...] = (
    ("carboy.__main__", "main", "The carboy command starts"),
    ("click.core", "Command.main", "Click parses the command line and calls the command"),
    ("click.core", "BaseCommand.main", "Click parses the command line and calls the command"),
    ("carboy.cli.run", "run", "The options of `carboy run` are read"),
    ("carboy.cli.flask", "main", "The flask command starts"),
    ("carboy.cli.flask", "run_command", "The `run` command of Flask is called"),
    ("carboy.app.commands", "ScriptInfo.load_app", "The command loads the application"),
    ("carboy.app.app", "Carboy.run", "Carboy starts its development server"),
    ("carboy.serving.development", "run_simple", "The application is served"),
    ("carboy.serving.wsgi_server", "make_server", "The kind of server is chosen"),
    ("carboy.serving.wsgi_server", "BaseWSGIServer.__init__", "The server object is made"),
    ("carboy.serving.wsgi_server", "BaseWSGIServer.serve_forever", "The server starts to serve"),
    ("carboy.server.serve", "start", "The server is started"),
    ("carboy.server.bind", "open_sockets", "The listening sockets are made"),
    ("carboy.net.listener", "listen_tcp", "A TCP socket is made to listen"),
    ("carboy.server.processes.worker", "Worker.run_alone", "This process is the only worker"),
    ("carboy.server.processes.worker", "Worker._load", "The worker loads the application"),
    ("carboy.gateway", "for_application", "The gateway for the application is chosen"),
    ("carboy.server.engine", "Engine.__init__", "The engine is made"),
    ("carboy.server.engine", "Engine.run", "The engine starts to serve"),
    ("carboy.server.engine", "Engine._lead", "A thread leads: it waits for connections and bytes"),
    ("carboy.server.listening", "Listeners.accept", "The engine accepts the connection"),
    ("carboy.server.connection", "Connection.__init__", "An object is made for the connection"),
    ("carboy.server.engine", "Engine._read", "The engine has bytes to read"),
    ("carboy.protocol.head", "quick_head", "The request line and the header are parsed"),
    ("carboy.server.dispatching", "Dispatcher.dispatch", "A thread is chosen for the handler"),
    ("carboy.gateway", "field_variables", "Header fields become variables of the environ"),
    ("carboy.gateway", "Call.start_response", "The application gives status and header fields"),
    ("carboy.server.responder", "Responder.deliver", "The response is delivered"),
    ("carboy.server.connection", "Connection.push", "The bytes are given to the socket"),
    ("carboy.server.closing", "Closing.close", "The engine closes the connection"),
    ("carboy.server.engine", "Engine.stop", "The engine is asked to stop"),
    ("carboy.server.listening", "Listeners.close", "The listening sockets are closed"),
)
# Of a system call only the calls for the server's socket and the connection are steps.
SYSTEM_CALLS = {
    "socket.bind": "The socket is bound to its address",
    "socket.listen": "The kernel begins to queue connections",
    "socket._accept": "The kernel gives the connection",
    "socket.recv": "Bytes are read from the connection",
    "socket.recv_into": "Bytes are read from the connection",
    "socket.send": "Bytes are sent",
    "socket.sendall": "Bytes are sent",
    "socket.sendmsg": "Bytes are sent",
    "socket.shutdown": "The connection is shut down by the kernel",
    "socket.close": "The connection is closed",
    "fork": "A process is started for the worker",
}
ACCEPT, CLOSE = "socket._accept", "socket.close"
LISTENER_CLOSED = "The listening socket is closed"
SOCKET = "socket.__init__"  # a step only if this socket is bound afterwards
SOCKET_MADE = "The socket is made"
# Functions that wait for connections until the server stops. The request begins after them.
LOOPS = {
    "BaseServer.serve_forever", "SyncWorker.run", "ThreadWorker.run", "loop", "Engine._lead",
}  # fmt: skip


def _of_requests() -> tuple[Rule, ...]:
    """The rules for one request on Carboy, except those of system calls."""
    system_calls = {"socket.accept", "socket.recv", *steps.SENDS}
    return tuple(rule for rule in steps.RULES if rule[1] not in system_calls)


RULES: tuple[Rule, ...] = (
    *STANDARD_LIBRARY, *WERKZEUG, *FLASK, *WSGIREF, *GUNICORN, *WAITRESS, *CARBOY, *_of_requests(),
)  # fmt: skip
NAMES = frozenset({name for _, name, _ in RULES} | {SOCKET})
