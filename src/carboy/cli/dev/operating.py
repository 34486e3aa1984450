"""`carboy status` and the other commands to a server of `carboy dev`, and its crash reports."""

from __future__ import annotations

from collections.abc import Sequence
from socket import socket

from carboy.server.admin.listening import open_admin
from carboy.server.admin.operations import Served
from carboy.server.admin.supervised import SupervisorAdmin
from carboy.server.bind import url
from carboy.server.metrics.totals import Totals
from carboy.server.processes.plan import Plan


def admin_of(plan: Plan, sockets: Sequence[socket]) -> SupervisorAdmin:
    """The admin server: a unix socket in the folder of the user, where the commands look for it."""
    settings = plan.settings
    addresses = tuple(url(each, plan.scheme()) for each in sockets)
    served = Served(plan.application, addresses, settings.threads, development=True)
    totals = Totals(settings.metrics.metrics_routes)
    return SupervisorAdmin(open_admin(settings.operation), served, totals)
