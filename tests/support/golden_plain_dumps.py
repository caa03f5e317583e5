"""The plain dumps in the golden archives, read with the standard library alone."""

from __future__ import annotations

import bz2
import json
import lzma
import tarfile
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "golden"


def golden_dumps() -> list[tuple[str, str, bytes]]:
    """Return archive, component and text of every plain golden dump, read with `tarfile` alone."""
    found = []
    for description in sorted(GOLDEN.glob("*.json")):
        golden = json.loads(description.read_text())
        with tarfile.open(description.with_suffix(".backup")) as outer:
            contents = {member.name.lstrip("./"): member for member in outer if member.isfile()}
            for name, facts in golden["databases"].items():
                if facts.get("dump_format") == "plain":
                    stream = outer.extractfile(contents[facts["member"].lstrip("./")])
                    assert stream is not None
                    found.append((description.stem, name, unpacked(stream.read())))
    return found


def unpacked(content: bytes) -> bytes:
    for magic, decompress in ((b"BZh", bz2.decompress), (b"\xfd7zXZ\0", lzma.decompress)):
        if content.startswith(magic):
            return decompress(content)
    return content


GOLDEN_DUMPS = golden_dumps()
NAMES = [f"{archive}-{name}" for archive, name, _ in GOLDEN_DUMPS]
