"""Archives that no backup ever wrote: crafted, broken, or both."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass, field

END = bytes(1024)
WHEN = 1_700_000_000


@dataclass(frozen=True)
class Crafted:
    """One member of a tar, however strange."""

    name: str
    content: bytes = b""
    type: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o600
    size: int | None = None
    encode: dict[str, object] = field(default_factory=dict)


def member_bytes(member: Crafted) -> bytes:
    """Header, content and padding."""
    header = tarfile.TarInfo(member.name)
    header.type = member.type
    header.linkname = member.link
    header.mode = member.mode
    header.mtime = WHEN
    header.uname = header.gname = "root"
    header.size = len(member.content) if member.size is None else member.size
    block = header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return block + member.content + bytes(-len(member.content) % 512)


def tar_bytes(*members: Crafted, end: bytes = END) -> bytes:
    """A tar of the members, letter by letter as asked."""
    return b"".join(member_bytes(member) for member in members) + end


def hash_file(contents: dict[str, bytes]) -> bytes:
    return b"".join(
        hashlib.sha256(content).hexdigest().encode() + b"  " + name.encode() + b"\n"
        for name, content in contents.items()
    )


def sound_members(**contents: bytes) -> dict[str, bytes]:
    """The members of a small sound archive; `files` and others can be given."""
    return {
        "version": b"4.5.7\n",
        "os_version": b"rhel9\n",
        "config": b"DB_DUMP_COMPRESSOR=\nDB_DUMP_FORMAT=plain\n",
        **contents,
    }


def archive_bytes(contents: dict[str, bytes], *extra: Crafted, with_hashes: bool = True) -> bytes:
    """An archive of generation D with true hashes, and whatever else is asked for."""
    members = [Crafted("./", type=tarfile.DIRTYPE), Crafted("./db/", type=tarfile.DIRTYPE)]
    members += [Crafted(f"./{name}", content) for name, content in contents.items()]
    if with_hashes:
        members.append(Crafted("./sha256sum", hash_file(contents)))
    return tar_bytes(*members, *extra)


def with_files(*members: Crafted) -> bytes:
    """A sound archive around an inner tar of the members."""
    return archive_bytes(sound_members(files=tar_bytes(*members)))


def tree_archive(*members: Crafted) -> bytes:
    """An archive of generation A: `files` is a tree, there is no `config`."""
    base = [Crafted("./version", b"3.3.5\n"), Crafted("./files/", type=tarfile.DIRTYPE)]
    return tar_bytes(*base, *members)


def pax_tar(name: str, records: dict[str, str]) -> bytes:
    """A tar whose one file has a pax header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        header = tarfile.TarInfo(name)
        header.pax_headers = records
        tar.addfile(header)
    return buffer.getvalue()


SQL_IN_CONFIG = b"DB_DUMP_FORMAT=custom\nDB_DUMP_COMPRESSOR=$(touch /hacked)\n"
