"""`carboy status` and the other commands to a server of `carboy dev`, and its crash reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from socket import socket

from carboy.server.admin.call import Refused
from carboy.server.admin.listening import open_admin
from carboy.server.admin.operations import Served
from carboy.server.admin.supervised import SupervisorAdmin
from carboy.server.admin.unsupervised import Unsupervised
from carboy.server.bind import url
from carboy.server.metrics.totals import Totals
from carboy.server.processes.plan import Plan
from carboy.serving.wsgi_server import BaseWSGIServer


def refuse_reload() -> None:
    """Raise the error of `carboy reload` to a server that does not reload."""
    raise Refused(501, "This server was started with --no-reload. Stop it, and start it again.")


def operation_of(
    application: str, server: BaseWSGIServer, reload: Callable[[], object]
) -> Unsupervised:
    """The admin server of --no-warm, in the process that serves."""
    scheme = "http" if server.ssl_context is None else "https"
    served = Served(
        application, (url(server.socket, scheme),), server.settings.threads, development=True
    )
    return Unsupervised(served, server.settings, reload)


def admin_of(plan: Plan, sockets: Sequence[socket]) -> SupervisorAdmin:
    """The admin server: a unix socket in the folder of the user, where the commands look for it."""
    settings = plan.settings
    addresses = tuple(url(each, plan.scheme()) for each in sockets)
    served = Served(plan.application, addresses, settings.threads, development=True)
    totals = Totals(settings.metrics.metrics_routes)
    return SupervisorAdmin(open_admin(settings.operation), served, totals)
