"""What every run that reads an archive does first."""

from __future__ import annotations

from engine_backup.drivers.archive_reader import Archive
from engine_backup.run.reporting import Reporter


def checked(archive: Archive, reporter: Reporter) -> None:
    """Read every member and compare it with its hash; raises `DamagedArchiveError`."""
    reporter.note("Verifying hash")
    total = sum(member.size for member in archive.members.values() if member.is_file)
    done = 0

    def advance(name: str, size: int) -> None:
        nonlocal done
        done += size
        reporter.advance("checking hashes", done, total)

    archive.check_hashes(advance)
    reporter.note(f"generation {archive.generation.value}, version {archive.version}")
