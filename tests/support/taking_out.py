"""Running `extract` and `export`, and a reader of archives that is not ours: Python's own."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine_backup.cli.environment import Environment
from engine_backup.cli.main import run
from tests.support.machine import Result


@dataclass(frozen=True)
class Done:
    """What a command line did; `data` is what it wrote to standard output."""

    status: int
    data: bytes
    stderr: str

    def check(self) -> Done:
        """Return itself, or fail with everything that was said."""
        assert self.status == 0, f"status {self.status}\n{self.data[:1000]!r}\n{self.stderr}"
        return self

    @property
    def result(self) -> Result:
        """The same as a text."""
        return Result(self.status, self.data.decode("utf-8", "replace"), self.stderr)


class _Output(io.TextIOWrapper):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def command(*words: object, terminal: bool = False, tmpdir: Path | None = None) -> Done:
    """Run words as they are, with a standard output that takes bytes."""
    stdout, stderr = _Output(terminal), io.StringIO()
    variables = {} if tmpdir is None else {"TMPDIR": str(tmpdir)}
    environment = Environment(variables=variables, stdin=io.StringIO(), stdout=stdout, stderr=stderr)
    status = run([str(word) for word in words], environment)
    stdout.flush()
    return Done(status, stdout.buffer.getvalue(), stderr.getvalue())  # type: ignore[attr-defined]


def unpacked(content: bytes) -> bytes:
    """Take a compressor off, by the first bytes."""
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    if content.startswith(b"BZh"):
        return bz2.decompress(content)
    if content.startswith(b"\xfd7zXZ"):
        return lzma.decompress(content)
    if content.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            from compression import zstd
        except ImportError:
            from backports import zstd
        return zstd.decompress(content)
    return content


def members(archive: Path) -> dict[str, bytes]:
    """Return every file of the outer tar, as stored, by its name without `./`."""
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isreg()}
        return {
            name[2:] if name.startswith("./") else name: file.read() for name, file in files.items() if file
        }


def content(archive: Path) -> dict[str, bytes]:
    """Return members with their packing taken off, but for files and for what describes the archive."""
    anew = ("version", "os_version", "config", "manifest.json", "sha256sum", "md5sum")
    found = {name: data for name, data in members(archive).items() if name not in anew}
    return {
        name[: -len(".bz2")] if name.endswith(".bz2") else name: unpacked(data)
        for name, data in found.items()
        if name != "files" and not name.startswith("files/")
    }


def files(archive: Path) -> dict[str, dict[str, Any]]:
    """Return the archived files with all that tar says of them, and the digest of each content."""
    with tarfile.open(archive) as tar:
        inner = next((m for m in tar if m.name in ("./files", "files") and m.isreg()), None)
        if inner is None:
            return dict(_entries(tar, "./files/"))
        with tarfile.open(fileobj=tar.extractfile(inner)) as opened:
            return dict(_entries(opened, ""))


def _entries(tar: tarfile.TarFile, top: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for member in tar:
        if not member.name.startswith(top) or member.name in (top, "./files"):
            continue
        entry: dict[str, Any] = {
            "type": member.type if member.type != tarfile.GNUTYPE_SPARSE else tarfile.REGTYPE,
            "owner": (member.mode, member.uid, member.gid, member.uname, member.gname, member.mtime),
            "target": member.linkname[len(top) :] if member.islnk() else member.linkname,
        }
        if member.isreg():
            stream = tar.extractfile(member)
            assert stream is not None
            entry["sha256"] = hashlib.sha256(stream.read()).hexdigest()
        yield member.name[len(top) :], entry


def tree(directory: Path) -> dict[str, tuple[str, int, int, str]]:
    """Return type, mode, time and content (digest or target) of everything below a directory."""
    found = {}
    for path in directory.rglob("*"):
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if path.is_symlink():
            row = ("symlink", 0o777, int(status.st_mtime), str(path.readlink()))
        elif path.is_dir():
            row = ("dir", mode, int(status.st_mtime), "")
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            row = ("file", mode, int(status.st_mtime), digest)
        found[path.relative_to(directory).as_posix()] = row
    return found


def real_path(row: dict[str, Any]) -> str:
    """Return the name of a file of the golden JSON, other bytes than UTF-8 as Python shows them."""
    if "path_hex" in row:
        return bytes.fromhex(row["path_hex"]).decode("utf-8", "surrogateescape")
    return row["path"]


def flip(archive: Path, data: bytes, place: int = 0) -> None:
    """Change one bit of the only place where `data` stands in a file."""
    whole = bytearray(archive.read_bytes())
    assert whole.count(data) == 1
    whole[whole.index(data) + place] ^= 0x10
    archive.write_bytes(bytes(whole))
