"""Which archived PKCS#12 files are encrypted anew, and what is said of the others.

Done while the files are unpacked beside their places: a failure changes nothing, and what undo puts
back needs no other way than that of all files. Facts: reference 9.5.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime

from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.facts import RestoreFacts
from engine_backup.model.pkcs12 import OldPkcs12
from engine_backup.model.printable import printable
from engine_backup.model.steps import EncryptPkcs12
from engine_backup.plan.file_selection import Selection

CONFIGURATION, KEYS = b"etc/ovirt-engine/engine.conf.d/", b"etc/pki/ovirt-engine/keys/"
# The first that does not read RC2 any more. Where nothing tells the version, today's is expected.
OPENSSL = 3


def encrypting(facts: RestoreFacts, selection: Selection, when: datetime) -> tuple[EncryptPkcs12, ...]:
    """Return the step for those files that are restored, and that can be encrypted anew."""
    able = {old.path for old in _concerned(facts, selection) if not old.reason}
    entries = tuple(entry for entry in selection.restore if entry.path in able)
    if facts.archive.pkcs12 is None or not entries:
        return ()
    kept = tuple(_kept(entry, when) for entry in entries)
    return (EncryptPkcs12(entries, kept, facts.archive.pkcs12.password),)


def warnings(facts: RestoreFacts, selection: Selection) -> list[str]:
    """Return what is to be known of files that stay as they are, or are not there at all."""
    return [
        *_missing(selection),
        *(_warning(old) for old in _concerned(facts, selection) if old.reason),
    ]


def _missing(selection: Selection) -> list[str]:
    """An engine that was set up has keys; without them it does not start, and no host trusts new ones."""
    paths = [entry.path for entry in selection.restore]
    is_set_up = any(path.startswith(CONFIGURATION) for path in paths)
    if not is_set_up or any(path.startswith(KEYS) for path in paths):
        return []
    return [f"there are no files of /{KEYS.decode()} to restore: the engine needs its keys from elsewhere"]


def _concerned(facts: RestoreFacts, selection: Selection) -> list[OldPkcs12]:
    """Return nothing where the machine's OpenSSL reads all of them."""
    major = facts.preflight.openssl_major
    if facts.archive.pkcs12 is None or (major is not None and major < OPENSSL):
        return []
    restored = {entry.path for entry in selection.restore}
    return [old for old in facts.archive.pkcs12.old if old.path in restored]


def _kept(entry: FileEntry, when: datetime) -> FileEntry:
    """Return the entry under the name that stock gives it, of a file in any case."""
    suffix = f".backup.{when:%Y%m%d%H%M%S}".encode()
    stored = entry.stored_name + suffix
    return replace(entry, path=entry.path + suffix, stored_name=stored, type=EntryType.FILE, link_target=None)


def _warning(old: OldPkcs12) -> str:
    name = "/" + printable(os.fsdecode(old.path))
    if not old.schemes:
        return f"{name} is restored as it is: {old.reason}"
    return (
        f"{name} is restored in old encryption ({', '.join(old.schemes)}), which current libraries do not"
        f" read: {old.reason}"
    )
