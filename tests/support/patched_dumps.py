"""Custom dumps of a real pg_dump, with another text of the same length in their table of contents."""

from __future__ import annotations

import subprocess

from engine_backup.drivers.scratch_server import ScratchServer

DATABASE = "to_be_patched"


def patched_dump(server: ScratchServer, instead: bytes) -> bytes:
    """Return a dump whose one table is filled by `COPY … <instead>`."""
    server.create_database(DATABASE, server.superuser)
    columns = "a" * 60
    with server.connect(DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE public.t (a text, {columns} text); INSERT INTO t VALUES ('1', '2')")
    connection.close()
    command = [
        str(server.programs.path("pg_dump")),
        "--format=custom",
        f"--host={server.host}",
        f"--port={server.port}",
        f"--username={server.superuser}",
        DATABASE,
    ]
    environment = {"PGPASSWORD": server.superuser_password.reveal()}
    dump = subprocess.run(command, capture_output=True, check=True, env=environment).stdout
    old = f"COPY public.t (a, {columns}) FROM stdin;\n".encode()
    new = b"COPY public.t " + instead + b";"
    assert dump.count(old) == 1
    assert len(new) < len(old)
    return dump.replace(old, new + b" " * (len(old) - len(new) - 1) + b"\n")
