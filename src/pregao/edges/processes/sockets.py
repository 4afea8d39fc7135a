"""Listening sockets that outlive the process that serves them."""

import os
import secrets
import socket
import time
from pathlib import Path

from pregao.edges.processes.state import StartError, find_number, replace_text

BACKLOG = 2048  # connections that wait while a role is started again
BIND_PATIENCE_SECONDS = 3.0  # a role that lost its supervisor may still be letting go of the port
LISTEN_FD = "PREGAO_LISTEN_FD"
QUIET_PORTS = range(20_000, 32_000)  # below those that Linux (32,768) and macOS (49,152) give to connections
QUIET_TRIES = 100


def listen(
    host: str, port: int, *, setting: str, patience_seconds: float = BIND_PATIENCE_SECONDS
) -> socket.socket:
    """
    Bind and listen once; ``port`` 0 takes a free one.

    :raises StartError: naming ``setting`` when the port is taken.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return _bind(host, port)
        except PermissionError as error:
            raise StartError(
                f"PORT_NOT_ALLOWED: port={port} host={host}. Set {setting} to one above 1023."
            ) from error
        except OSError as error:
            if time.monotonic() >= deadline:
                raise StartError(
                    f"PORT_TAKEN: port={port} host={host}. Set {setting} to a free port, or stop what listens there."
                ) from error
            time.sleep(0.1)


def listen_near(host: str, preferred: int, *, remembered_in: Path, setting: str) -> socket.socket:
    """Listen on the port of last time, else on the preferred one, else on a free one, and remember which."""
    for port in (find_number(remembered_in), preferred):
        if port is None:
            continue
        try:
            sock = listen(host, port, setting=setting, patience_seconds=0)
            break
        except StartError:
            continue
    else:
        sock = listen(host, 0, setting=setting)
    replace_text(remembered_in, f"{sock.getsockname()[1]}\n")
    return sock


def listening_socket(host: str, port: int, *, setting: str) -> socket.socket:
    """Give the socket the supervisor handed over; alone, listen ourselves."""
    if descriptor := os.environ.get(LISTEN_FD):
        return socket.socket(fileno=int(descriptor))
    return listen(host, port, setting=setting)


def is_port_free(port: int) -> bool:
    """Say whether a server on this machine could listen on the loopback port."""
    try:
        _bind("127.0.0.1", port).close()
    except OSError:
        return False
    return True


def find_free_port() -> int:
    """Give a port for a server that starts soon: one that no connection of this machine is given meanwhile."""
    for _ in range(QUIET_TRIES):
        port = secrets.choice(QUIET_PORTS)
        if is_port_free(port):
            return port
    with _bind("127.0.0.1", 0) as sock:
        return int(sock.getsockname()[1])


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
