"""Asking a PostgreSQL server one question: how would you let this role in?

libpq tells why a login failed in words alone, in the server's language; its
protocol tells it in numbers (PostgreSQL manual, 55.2.1 and 55.7).
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

PROTOCOL_3 = 196608
STARTING_UP = "57P03"
TIMEOUT_SECONDS = 15.0
_LIMIT = 1 << 16


@dataclass(frozen=True)
class Reply:
    """The server's first answer to a login.

    `authentication` is the code of what it asks for: 0 nothing, the role is in; 3, 5 or 10 a
    password; None: it says no. Then `sqlstate` and `message` say why; no SQLSTATE: no server spoke.
    """

    authentication: int | None = None
    sqlstate: str = ""
    message: str = ""

    @property
    def answered(self) -> bool:
        """Whether a server is there that takes logins now."""
        return self.authentication is not None or self.sqlstate not in ("", STARTING_UP)

    @property
    def refused(self) -> bool:
        """Whether the server does not let this role in without a password (class 28 of SQLSTATEs)."""
        return bool(self.authentication) or self.sqlstate.startswith("28")


def listens(host: str, port: int) -> bool:
    """Say whether anything takes connections at a TCP address."""
    try:
        socket.create_connection((host, port), TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def ask(socket_path: str, role: str, database: str) -> Reply:
    """Return the answer of the server behind a socket. The caller's effective user is who it sees."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(socket_path)
            connection.sendall(_startup_message(role, database))
            return _reply(*_message(connection))
    except (OSError, ValueError, struct.error) as error:
        return Reply(message=str(error))


def _startup_message(role: str, database: str) -> bytes:
    words = ("user", role, "database", database)
    body = struct.pack("!i", PROTOCOL_3) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def _message(connection: socket.socket) -> tuple[bytes, bytes]:
    """Read one message: its type and its body."""
    kind, length = struct.unpack("!ci", _exactly(connection, 5))
    if not 4 <= length <= _LIMIT:
        raise ValueError("what answers there is no PostgreSQL server")
    return kind, _exactly(connection, length - 4)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ValueError("the server closed the connection")
        data += piece
    return data


def _reply(kind: bytes, body: bytes) -> Reply:
    if kind == b"R":
        return Reply(authentication=struct.unpack("!i", body[:4])[0])
    if kind != b"E":
        raise ValueError("what answers there is no PostgreSQL server")
    fields = {field[:1]: field[1:].decode("utf-8", "replace") for field in body.split(b"\0") if field}
    return Reply(sqlstate=fields.get(b"C", ""), message=fields.get(b"M", ""))
