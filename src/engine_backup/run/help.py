"""What `--help` knows of the machine."""

from __future__ import annotations

from pathlib import Path

from engine_backup.drivers.branding import help_url


def help_address(root: Path) -> str:
    """Return the address of help that the product's brand under `root` gives, or an empty text."""
    return help_url(root)
