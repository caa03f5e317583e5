"""Apache after a change of the operating system: nothing of it is restored, and engine-setup asks again.

Facts: reference 9.5, quirk 34.
"""

from __future__ import annotations

import re

from engine_backup.model.archive import EntryType
from engine_backup.model.facts import ArchiveFacts, RestoreFacts
from engine_backup.model.paths import APACHE_CONFIGURATION
from engine_backup.model.steps import ForgetApache
from engine_backup.plan.file_selection import Selection

ANSWERS = re.compile(rb"etc/ovirt-engine-setup\.conf\.d/[^/]+\.conf")


def is_left_out(archive: ArchiveFacts, os_version: str) -> bool:
    """Whether Apache's configuration is that of another operating system, which the engine had set up."""
    return archive.apache_configured and archive.os_version != os_version


def forgetting(facts: RestoreFacts, selection: Selection) -> tuple[ForgetApache, ...]:
    """Where Apache's files are left out, engine-setup has to ask about them."""
    archive, system = facts.archive, facts.host.os_version
    entries = tuple(
        entry
        for entry in selection.restore
        if ANSWERS.fullmatch(entry.path) and entry.type in (EntryType.FILE, EntryType.HARDLINK)
    )
    if not (is_left_out(archive, system) and entries):
        return ()
    prefix = APACHE_CONFIGURATION.lstrip("/").encode()
    left_out = tuple(note.path for note in selection.excluded if note.path.startswith(prefix))
    return (ForgetApache(entries, left_out, archive.os_version, system),)
