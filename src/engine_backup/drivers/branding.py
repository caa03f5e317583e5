"""What the product's brand says of this tool (reference 10.7)."""

from __future__ import annotations

from pathlib import Path

from engine_backup.drivers import java_properties
from engine_backup.model.errors import EngineBackupError

_BRANDS = "etc/ovirt-engine/branding"
_BRAND_FILES = ("branding-external-resources.properties", "external_resources.properties")
_HELP_URL_KEY = "obrand.common.enginebackup.help_url"


def help_url(root: Path) -> str:
    """Return the address of help that a brand gives, or an empty text (reference 10.7).

    Of several brands the last in sorted order wins. A file that cannot be read
    or understood is passed over: help must always appear.
    """
    for path in sorted((root / _BRANDS).glob("*"), reverse=True):
        for name in _BRAND_FILES:
            url = _property(path / name, _HELP_URL_KEY)
            if url:
                return url
    return ""


def _property(path: Path, key: str) -> str:
    try:
        return java_properties.parse(_text(path), str(path)).get(key, "").strip()
    except EngineBackupError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace") if path.is_file() else ""
    except OSError:
        return ""
