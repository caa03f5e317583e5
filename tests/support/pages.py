"""The pages of the documentation, and the blocks in them that tests run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"

CHECKED = re.compile(r"^( *)<!-- checked: (.*) -->\n *```\w+\n((?:.*\n)*?) *```$", re.MULTILINE)


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def block(page: Path, title: str) -> str:
    """Return a fenced block that the page marks as checked, without the indent of the list around it."""
    for indent, found, text in CHECKED.findall(page.read_text(encoding="utf-8")):
        if found == title:
            return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
    raise AssertionError(f"{page_name(page)} has no checked block {title!r}")
