"""Ports that nobody else in this run is given: not another test, not another worker, not a connection."""

import itertools
import os
import random

from pregao.edges.processes.sockets import is_port_free

FIRST = 10_000  # below those that the desk itself looks for, and far below those of connections
EACH_WORKER = 1_000
WORKERS_MAX = 10


def _own_ports() -> range:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS_MAX
    first = FIRST + worker * EACH_WORKER
    return range(first, first + EACH_WORKER)


_ports = itertools.cycle(random.SystemRandom().sample(_own_ports(), EACH_WORKER))


def free_port() -> int:
    """Give a port for a server that starts soon; it comes again only when all others of this worker have come."""
    return next(port for port in _ports if is_port_free(port))
