"""A Redis for tests: it speaks the protocol and keeps the rules of the few commands that the lab's cache needs."""

import contextlib
import socketserver
import threading
import time
from fnmatch import fnmatchcase


class Redis(socketserver.ThreadingTCPServer):
    """Keeps values until their time; knows the commands that the store needs, and says of others that it does not."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Connection)
        self.kept = {}
        self.now = 0.0
        self.silent = False
        self.asked = []

    @property
    def address(self):
        return f"redis://127.0.0.1:{self.server_address[1]}/0?protocol=2"

    def answer(self, command, *words):
        self.asked.append(command)
        if command == "GET":
            value, until = self.kept.get(words[0], (None, 0.0))
            return value if until > self.now else None
        if command == "SET":
            assert words[2].upper() == b"PX"
            self.kept[words[0]] = (words[1], self.now + int(words[3]) / 1_000)
            return "OK"
        if command == "DEL":
            return sum(self.kept.pop(word, None) is not None for word in words)
        if command == "SCAN":
            pattern = words[words.index(b"MATCH") + 1].decode()
            return [b"0", [key for key in self.kept if fnmatchcase(key.decode(), pattern)]]
        return ValueError(f"unknown command {command}")


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2])
            if self.server.silent:
                time.sleep(3)
                return
            self.wfile.write(written(self.server.answer(words[0].decode().upper(), *words[1:])))


def written(value):
    if isinstance(value, ValueError):
        return f"-ERR {value}\r\n".encode()
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return f":{value}\r\n".encode()
    if isinstance(value, str):
        return f"+{value}\r\n".encode()
    if isinstance(value, list):
        return f"*{len(value)}\r\n".encode() + b"".join(map(written, value))
    return f"${len(value)}\r\n".encode() + value + b"\r\n"


@contextlib.contextmanager
def serving():
    """Run one in a thread."""
    server = Redis()
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
