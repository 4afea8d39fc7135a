"""
A load of HTTP posts over kept-alive connections, from a process of its own: `post` starts it and gives its figures.

Plain sockets and epoll: a request costs it some microseconds, so that the server is what is measured.
"""

import argparse
import json
import select
import socket
import subprocess
import sys
import time
from array import array
from dataclasses import dataclass

ANSWER_SECONDS_MAX = 30.0  # for what is still on its way when the time is over


@dataclass(frozen=True, slots=True)
class Load:
    """What came back."""

    answered: int  # with the status that was hoped for
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of the load itself, per request

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def post(port: int, path: str, body: str, *, seconds: float, connections: int, run: int, status: int) -> Load:
    """Post ``body`` (its ``{n}`` becomes a number used once) for some seconds, and wait for every answer."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.posting",
        f"--port={port}",
        f"--path={path}",
        f"--body={body}",
    ]
    command += [f"--seconds={seconds}", f"--connections={connections}", f"--run={run}", f"--status={status}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Load(**json.loads(done.stdout))


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.rest = b""


def _is_whole(answer: bytes) -> bool:
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = answer.find(b"content-length: ", 0, end) + 16
    return len(answer) >= end + 4 + int(answer[at : answer.find(b"\r", at)])


def _drive(args: argparse.Namespace) -> Load:
    before, after = args.body.encode().split(b"{n}")
    length = len(before) + 12 + len(after)
    head = f"POST {args.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    head = f"{head}content-length: {length}\r\n\r\n"
    form = (head.encode() + before).replace(b"%", b"%%") + b"%012d" + after.replace(b"%", b"%%")
    hoped = b"HTTP/1.1 %d" % args.status
    number = args.run * 10**9
    poll = select.epoll()
    byfd = {}
    for _ in range(args.connections):
        connection = _Connection(args.port)
        byfd[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    clock = time.perf_counter
    took = array("d")
    failed = 0
    began, cpu_began = clock(), time.process_time()
    until = began + args.seconds
    for connection in byfd.values():
        connection.sent_at = clock()
        connection.socket.send(form % number)
        number += 1
    on_the_way = args.connections
    while on_the_way and clock() < until + ANSWER_SECONDS_MAX:
        for fd, _ in poll.poll(1):
            connection = byfd[fd]
            answer = connection.rest + connection.socket.recv(65536)
            if not answer:
                raise ConnectionError("The server closed a connection.")
            if not _is_whole(answer):
                connection.rest = answer
                continue
            connection.rest = b""
            now = clock()
            if answer.startswith(hoped):
                took.append(now - connection.sent_at)
            else:
                failed += 1
            if now >= until:
                on_the_way -= 1
                continue
            connection.sent_at = now
            connection.socket.send(form % number)
            number += 1
    seconds, cpu = clock() - began, time.process_time() - cpu_began
    ranked = sorted(took) or [0.0]
    return Load(
        answered=len(took),
        failed=failed + on_the_way,
        seconds=seconds,
        p50_ms=ranked[len(ranked) // 2] * 1e3,
        p99_ms=ranked[len(ranked) * 99 // 100] * 1e3,
        cpu_us=cpu / max(1, len(took)) * 1e6,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--body", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--run", type=int, required=True)
    parser.add_argument("--status", type=int, required=True)
    load = _drive(parser.parse_args())
    print(json.dumps({name: getattr(load, name) for name in Load.__slots__}))


if __name__ == "__main__":
    main()
