"""Archives that no backup ever wrote: crafted, broken, or both."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from dataclasses import dataclass, field

END = bytes(1024)
DIRECTORY, SYMLINK, HARDLINK = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
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
    """Lines as coreutils writes them."""
    return b"".join(
        _hash_line(hashlib.sha256(content).hexdigest().encode(), os.fsencode(name))
        for name, content in contents.items()
    )


def _hash_line(digest: bytes, name: bytes) -> bytes:
    escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != name else b"") + digest + b"  " + escaped + b"\n"


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

# A member, or the archived files, and what the refusal says.
OUTER = {
    "absolute": (Crafted("/etc/passwd", b"x"), "/etc/passwd has an absolute name"),
    "upwards": (Crafted("./db/../../etc/passwd", b"x"), '".."'),
    "second": (Crafted("./version", b"4.4\n"), "version stands there twice"),
    "same by another spelling": (Crafted("././/version", b"4.4\n"), "version stands there twice"),
    "character device": (Crafted("./dev", type=tarfile.CHRTYPE), "dev is a device"),
    "block device": (Crafted("./dev", type=tarfile.BLKTYPE), "dev is a device"),
    "pipe": (Crafted("./pipe", type=tarfile.FIFOTYPE), "pipe is a device or a pipe"),
    "symbolic link": (
        Crafted("./manifest.json", type=SYMLINK, link="/etc/shadow"),
        "manifest.json is a link",
    ),
    "hard link": (Crafted("./manifest.json", type=HARDLINK, link="./version"), "manifest.json is a link"),
    "dangling hard link": (Crafted("./x", type=HARDLINK, link="./nowhere"), "no earlier file"),
    "below a file": (Crafted("./version/x", b"x"), "no directory"),
    "absurd size": (Crafted("./x", size=1 << 70), "absurd size"),
    "negative size": (Crafted("./x", size=-1), "absurd size"),
}

INNER = {
    "absolute": ([Crafted("/etc/passwd", b"x")], "/etc/passwd has an absolute name"),
    "upwards": ([Crafted("etc/../../x", b"x")], '".."'),
    "through a symbolic link": (
        [Crafted("etc/link", type=SYMLINK, link="/etc"), Crafted("etc/link/passwd", b"x")],
        "etc/link/passwd lies below",
    ),
    "through a later symbolic link": (
        [Crafted("etc/link/passwd", b"x"), Crafted("etc/link", type=SYMLINK, link="/etc")],
        "etc/link/passwd lies below",
    ),
    "a directory that becomes a link": (
        [Crafted("etc/", type=DIRECTORY), Crafted("etc", type=SYMLINK, link="/")],
        "etc stands there twice",
    ),
    "hard link outside": ([Crafted("etc/x", type=HARDLINK, link="/etc/shadow")], "absolute"),
    "hard link to nothing": ([Crafted("etc/x", type=HARDLINK, link="etc/shadow")], "no earlier file"),
    "hard link to itself": ([Crafted("etc/x", type=HARDLINK, link="etc/x")], "no earlier file"),
    "device": ([Crafted("dev/sda", type=tarfile.BLKTYPE)], "dev/sda is a device"),
    "pipe": ([Crafted("etc/p", type=tarfile.FIFOTYPE)], "etc/p is a device or a pipe"),
    "a link with content": ([Crafted("etc/l", b"x", type=SYMLINK, link="a")], "cannot have"),
}


def recomputed(block: bytes) -> bytes:
    """A header whose checksum fits again."""
    total = sum(block[:148]) + sum(block[156:]) + 8 * 0x20
    return block[:148] + b"%06o\0 " % total + block[156:]


def with_field(member: Crafted, start: int, field_bytes: bytes) -> bytes:
    """A member with other bytes in its header, and a checksum that fits."""
    whole = member_bytes(member)
    return recomputed(whole[:start] + field_bytes + whole[start + len(field_bytes) : 512]) + whole[512:]


def raw_archive(*pieces: bytes, contents: dict[str, bytes] | None = None) -> bytes:
    """A sound archive with these bytes before its end."""
    return archive_bytes(contents or sound_members())[: -len(END)] + b"".join(pieces) + END


def long_name(name: bytes, type_: bytes = tarfile.GNUTYPE_LONGNAME, size: int | None = None) -> bytes:
    """The member that gives the next one a long name."""
    return member_bytes(Crafted("././@LongLink", name, type=type_, size=size))


def sparse_member(name: str, real_size: int, pieces: tuple[tuple[int, int], ...], content: bytes) -> bytes:
    """A member with holes, in the old GNU format."""
    header = bytearray(member_bytes(Crafted(name, content, type=tarfile.GNUTYPE_SPARSE)))
    for row, (offset, length) in enumerate(pieces):
        place = 386 + 24 * row
        header[place : place + 24] = number(offset) + number(length)
    header[483:495] = number(real_size)
    return recomputed(bytes(header[:512])) + bytes(header[512:])


def sparse_map(offsets: range, more: bool) -> bytes:
    """One more block of a sparse map: a byte at each offset."""
    pairs = b"".join(number(offset) + number(1) for offset in offsets)
    return (pairs + bytes([more])).ljust(512, b"\0")


def number(value: int) -> bytes:
    """A number in base 256."""
    return b"\x80" + value.to_bytes(11, "big")


def pax_member(records: bytes, member: Crafted) -> bytes:
    """A member with a pax header, letter by letter."""
    return member_bytes(Crafted("PaxHeaders/x", records, type=tarfile.XHDTYPE)) + member_bytes(member)


def pax_record(key: bytes, value: bytes) -> bytes:
    """One record with its length."""
    length = len(key) + len(value) + 3
    while len(str(length)) + len(key) + len(value) + 3 != length:
        length = len(str(length)) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def plain_dump(statement: str) -> bytes:
    """A plain dump with one statement more than it should have."""
    return f"CREATE TABLE t (a text);\n{statement}\n-- PostgreSQL database dump complete\n".encode()


def with_dump(content: bytes) -> bytes:
    """An archive with a dump of the engine."""
    config = b"DB_DUMP_COMPRESSOR=\n"
    return archive_bytes(sound_members(config=config, **{"db/engine_backup.db": content}))


def with_hash_file(lines: bytes, contents: dict[str, bytes] | None = None) -> bytes:
    """An archive with another hash file."""
    members = contents or sound_members()
    return archive_bytes(members, Crafted("./sha256sum", lines), with_hashes=False)
