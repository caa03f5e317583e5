"""Golden archives taken apart and put together in other shapes, with the standard library alone."""

from __future__ import annotations

import bz2
import copy
import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from backports import zstd

from tests.support import golden

PACK: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}
UNPACK: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
}
TREE = "tree"
NAMES = {"encoding": "utf-8", "errors": "surrogateescape"}

File = tuple[tarfile.TarInfo, bytes]


def line(digest: str, name: str, before: str = "", mark: str = " ") -> str:
    """Return a line as coreutils writes it."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    sign = "\\" if escaped != name else ""
    return f"{sign}{digest} {mark}{before}{escaped}\n"


@dataclass(frozen=True)
class Parts:
    """What an archive is made of, and the shape to give it.

    `members` are all but `files` and the hash file. `outer` and `files_form` are compressors; the latter
    may be `TREE`. `hash_line` makes a line from digest and name.
    """

    members: dict[str, bytes]
    files: tuple[File, ...]
    outer: str = ""
    files_form: str = "xz"
    prefix: str = "./"
    with_directories: bool = True
    hash_files: tuple[str, ...] = ("sha256",)
    hash_line: Callable[[str, str], str] = line

    def but(self, members: Mapping[str, bytes | None]) -> Parts:
        """Return it with other members; `None` takes one away."""
        kept = {**self.members, **members}
        return replace(self, members={name: content for name, content in kept.items() if content is not None})

    def content(self) -> bytes:
        """Return the archive."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, **NAMES) as tar:
            for name in ("", "db/", *(("files/",) if self.files_form == TREE else ())):
                if self.with_directories and self.prefix + name:
                    tar.addfile(_directory(self.prefix + name))
            hashed = self._add_files(tar)
            for name, member in self.members.items():
                _add(tar, self.prefix + name, member)
            hashed.update(self.members)
            for kind in self.hash_files:
                _add(tar, f"{self.prefix}{kind}sum", self._hashes(hashed, kind))
        return PACK[self.outer](buffer.getvalue())

    def _add_files(self, tar: tarfile.TarFile) -> dict[str, bytes]:
        if self.files_form == TREE:
            return _add_all(tar, self.files, f"{self.prefix}files/")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, **NAMES) as inner:
            _add_all(inner, self.files, "")
        content = PACK[self.files_form](buffer.getvalue())
        _add(tar, f"{self.prefix}files", content)
        return {"files": content}

    def _hashes(self, hashed: Mapping[str, bytes], kind: str) -> bytes:
        lines = (self.hash_line(hashlib.new(kind, data).hexdigest(), name) for name, data in hashed.items())
        return "".join(lines).encode("utf-8", "surrogateescape")


def _directory(name: str) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.mode = tarfile.DIRTYPE, 0o755
    return header


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size, header.mode = len(content), 0o600
    tar.addfile(header, io.BytesIO(content))


def _add_all(tar: tarfile.TarFile, files: tuple[File, ...], prefix: str) -> dict[str, bytes]:
    """Add archived files; return those that a hash file names."""
    hashed = {}
    for header, content in files:
        moved = copy.copy(header)
        moved.name = prefix + header.name
        if header.islnk():
            moved.linkname = prefix + header.linkname
        tar.addfile(moved, io.BytesIO(content))
        name = f"files/{header.name}"
        if header.isreg() or header.islnk():
            target = f"files/{header.linkname}"
            hashed[name] = hashed[target] if header.islnk() else content
    return hashed


def taken_apart(name: str) -> Parts:
    """Return the parts of a golden archive, in the shape of generation D."""
    members: dict[str, bytes] = {}
    files: tuple[File, ...] = ()
    with tarfile.open(golden.archive(name), **NAMES) as outer:
        files = _files(outer, "./files/")
        for header in outer:
            short = header.name[2:]
            if header.isreg() and not short.startswith("files") and not short.endswith("sum"):
                members[short] = outer.extractfile(header).read()
            elif header.isreg() and short == "files":
                with tarfile.open(fileobj=io.BytesIO(outer.extractfile(header).read()), **NAMES) as inner:
                    files = _files(inner, "")
    return Parts(members, files)


def _files(tar: tarfile.TarFile, prefix: str) -> tuple[File, ...]:
    found = []
    for header in tar:
        if header.name.startswith(prefix) and len(header.name) > len(prefix):
            content = tar.extractfile(header).read() if header.isreg() else b""
            plain = copy.copy(header)
            plain.name = header.name[len(prefix) :]
            plain.type = tarfile.REGTYPE if header.issparse() else header.type
            plain.sparse = None
            plain.size = len(content)
            plain.pax_headers = {}
            if header.islnk():
                plain.linkname = header.linkname[len(prefix) :]
            found.append((plain, content))
    return tuple(found)


def unpacked(content: bytes) -> bytes:
    """Return a member without its compressor."""
    return next((undo(content) for magic, undo in UNPACK.items() if content.startswith(magic)), content)
