"""The medians as a drawing: for each job, a bar for the time of each contender."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.bars import Medians

WIDTH, LEFT, RIGHT = 760, 230, 90
ROW, GAP, TOP = 18, 14, 34
COLOURS = {"ours": "#2a7de1", "stock": "#b0b0b0"}
OTHER = "#d9c48f"
DRAWN = ("backup", "verify", "restore", "drill")


def write(path: Path, medians: Medians) -> None:
    """Draw the seconds of each contender as an SVG file; jobs that are over at once are left out."""
    path.write_text(drawing({job: found for job, found in medians.items() if job in DRAWN}), encoding="utf-8")


def drawing(medians: Medians) -> str:
    """Return the text of the SVG file."""
    longest = max((taken.wall for found in medians.values() for taken in found.values()), default=1.0)
    parts: list[str] = []
    y = TOP
    for job, found in medians.items():
        parts.append(_text(10, y + ROW - 5, job, "bold"))
        for name, taken in found.items():
            width = (WIDTH - LEFT - RIGHT) * taken.wall / longest
            colour = next((COLOURS[key] for key in COLOURS if name.startswith(key)), OTHER)
            parts.append(_text(90, y + ROW - 5, name))
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 3}" fill="{colour}"/>')
            parts.append(_text(LEFT + width + 6, y + ROW - 5, f"{taken.wall:.1f} s"))
            y += ROW
        y += GAP
    size = f'width="{WIDTH}" height="{y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    title = _text(10, 18, "seconds, medians; shorter is better")
    return "\n".join((head, f'<rect {size} fill="white"/>', title, *parts, "</svg>\n"))


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-weight="{weight}">{escape(text)}</text>'
