"""Ports for servers that start soon."""

import socket
from pathlib import Path

import pytest

from pregao.edges.processes.sockets import find_free_port, is_port_free


class TestFindFreePort:
    def test_no_connection_is_given_it_before_the_server_starts(self):
        told = Path("/proc/sys/net/ipv4/ip_local_port_range")
        first_given = int(told.read_text().split()[0]) if told.exists() else 49_152

        if first_given < 32_768:
            pytest.skip(f"connections of this machine are given ports from {first_given}")
        assert all(1_024 < find_free_port() < first_given for _ in range(20))

    def test_a_server_can_listen_there(self):
        port = find_free_port()

        assert is_port_free(port)
        with socket.create_server(("127.0.0.1", port)):
            assert not is_port_free(port)
