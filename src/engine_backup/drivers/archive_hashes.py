"""Comparing the members of an archive with its hash file, `sha256sum` or `md5sum` (reference 4.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import BinaryIO

from engine_backup.drivers.archive_file import Progress
from engine_backup.drivers.hash_lines import parse_hash_lines
from engine_backup.drivers.interruption import Interruption
from engine_backup.model.archive import HASH_FILES, MemberInfo
from engine_backup.model.errors import DamagedArchiveError
from engine_backup.model.printable import printable

HASH_FILE_LIMIT = 64 << 20
CHUNK = 1 << 20
HASHED_AT_ONCE = 4


class MemberHashes:
    """The hashes of one archive; `name` says in messages which.

    `open_member` gives the bytes of a member, to several threads at the same time; `read_small` a whole
    one, which has at most so many bytes.
    """

    def __init__(
        self,
        name: str,
        members: Mapping[str, MemberInfo],
        open_member: Callable[[str], BinaryIO],
        read_small: Callable[[str, int], bytes],
    ) -> None:
        self._name = name
        self._members = members
        self._open_member = open_member
        self._read_small = read_small

    @property
    def kind(self) -> str:
        """The algorithm of the hashes, "sha256" or "md5"; "" when there is no hash file."""
        return dict(HASH_FILES).get(self._file, "")

    @property
    def _file(self) -> str:
        return next((name for name, _ in HASH_FILES if name in self._members), "")

    def check_all(self, progress: Progress | None = None) -> None:
        """Read every member and compare it with the hash file.

        Every line must have its member, and every file (but hash files) its line.
        `progress` is called with a member's name and the number of bytes just read. Raises
        `DamagedArchiveError` that names the first member in the archive's order that is not as it was.
        """
        digests = self.digests()
        files = {name for name, member in self._members.items() if member.is_file} - {self._file}
        hashed = (files - {name for name, _ in HASH_FILES}) | (files & digests.keys())
        for name in sorted(digests.keys() - hashed):
            raise DamagedArchiveError(f"{self._name}: {printable(name)} is missing")
        self._check([name for name in self._members if name in hashed], digests, progress)

    def check_members(self, names: Iterable[str], progress: Progress | None = None) -> None:
        """Compare these members, and no others, with the hash file; raises `DamagedArchiveError`."""
        self._check(names, self.digests(), progress)

    def _check(self, names: Iterable[str], digests: dict[str, str], progress: Progress | None) -> None:
        """Check several at the same time; the first in their order that is wrong ends all."""
        interruption, lock = Interruption(), Lock()

        def tell(name: str, size: int) -> None:
            interruption.check()
            if progress is not None:
                with lock:
                    progress(name, size)

        with ThreadPoolExecutor(HASHED_AT_ONCE, "hash") as pool:
            checks = [pool.submit(self._check_member, name, digests, tell) for name in names]
            try:
                for check in checks:
                    check.result()
            except BaseException:
                interruption.trigger()
                raise

    def _check_member(self, name: str, digests: dict[str, str], progress: Progress | None) -> None:
        if name not in digests:
            raise DamagedArchiveError(f"{self._name}: {printable(name)} has no line in the hash file")
        if self.digest(name, self.kind, progress) != digests[name]:
            raise DamagedArchiveError(f"{self._name}: Checksum verification failed: {printable(name)}")

    def digest(self, name: str, algorithm: str, progress: Progress | None = None) -> str:
        """Return the hex digest of a member, by "sha256" or "md5"."""
        total = hashlib.new(algorithm, usedforsecurity=False)
        with self._open_member(name) as stream:
            for chunk in iter(lambda: stream.read(CHUNK), b""):
                total.update(chunk)
                if progress is not None:
                    progress(name, len(chunk))
        return total.hexdigest()

    def digests(self) -> dict[str, str]:
        """Return what the hash file says: hex digests by members' names; raises `DamagedArchiveError`."""
        name = self._file
        if not name:
            raise DamagedArchiveError(f"{self._name}: No supported hash file found")
        content = self._read_small(name, HASH_FILE_LIMIT)
        lines = parse_hash_lines(content, self.kind, f"{self._name}: {name}")
        return {path.decode("utf-8", "surrogateescape"): hexed for path, hexed in lines.items()}
