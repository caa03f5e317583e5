"""Directories that several layers know, relative to the root directory in use."""

from __future__ import annotations

from pathlib import Path

# PostgreSQL's, as its RPMs have it (reference 1.3).
DATA = "var/lib/pgsql/data"
# Journals of restores, with all that they need to go back; private.
STAGING_DIRECTORY = Path("var/lib/ovirt-engine-backup/restore")
