"""The answers that engine-setup keeps: which components it has set up (reference 7.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Union

from engine_backup.drivers.configuration_source import Source, open_source
from engine_backup.model.errors import ConfigurationError

ANSWERS_FILE = "/etc/ovirt-engine-setup.conf"
SECTION = "environment:default"

Answer = Union[None, bool, int, str, tuple[str, ...]]

_LINE_END = re.compile(r"\r\n|\r|\n")
_HEADING = re.compile(r"\[([^\]]+)\]\s*")
_ENTRY = re.compile(r"([^=\s][^=]*?)\s*=\s*(.*)", re.DOTALL)
_FALSE = frozenset({"f", "F", "false", "False"})


@dataclass(frozen=True)
class Answers:
    """Typed answers by key. `repr` shows none: passwords are among them."""

    values: Mapping[str, Answer] = field(repr=False)

    def boolean(self, key: str) -> bool | None:
        """Return a yes or no; None when the key is missing or its answer is of another type."""
        value = self.values.get(key)
        return value if isinstance(value, bool) else None

    def text(self, key: str) -> str | None:
        """Return a text; None when the key is missing or its answer is of another type."""
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def __contains__(self, key: str) -> bool:
        return key in self.values


def load(source: Source) -> Answers:
    """Return the merged answers of a root directory or an archive; later files win.

    No file gives no answers. Raises `EngineBackupError` naming file and line.
    """
    files = open_source(source)
    directory = f"{ANSWERS_FILE}.d"
    direct = [
        path for path in files.below(directory) if re.fullmatch(r"/[^/]+\.conf", path[len(directory) :])
    ]
    values: dict[str, Answer] = {}
    for path in (ANSWERS_FILE, *direct):
        values.update(parse(files.read(path) or "", path))
    return Answers(values)


def parse(text: str, name: str) -> dict[str, Answer]:
    """Return the typed answers of one file's section `environment:default`; keys are case-sensitive.

    Raises `EngineBackupError` naming the file (`name`) and the line, never the answer.
    """
    values: dict[str, Answer] = {}
    for number, section, key, value in _entries(text, name):
        if section == SECTION:
            try:
                values[key] = _typed(value)
            except ValueError as error:
                raise ConfigurationError(f"{name}:{number}: {key}: {error}") from None
    return values


def _entries(text: str, name: str) -> Iterator[tuple[int, str, str, list[str]]]:
    """Yield line number, section, key and the lines of the value."""
    section = ""
    entry: tuple[int, str, str, list[str]] | None = None
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        if line[0].isspace() and entry is not None:
            entry[3].append(line.strip())
            continue
        if entry is not None:
            yield entry
            entry = None
        heading, match = _HEADING.fullmatch(line), _ENTRY.fullmatch(line.strip())
        if heading:
            section = heading.group(1)
        elif match and section:
            entry = (number, section, match.group(1), [match.group(2)])
        else:
            raise ConfigurationError(f"{name}:{number}: neither KEY=type:value nor a [section]")
    if entry is not None:
        yield entry


def _typed(lines: list[str]) -> Answer:
    """Return the value of `type:value`, as otopi understands it. Raises `ValueError`."""
    kind, colon, first = lines[0].partition(":")
    rest = lines[1:]
    if not colon:
        raise ValueError("the answer has no type")
    if kind == "none":
        return None
    if kind == "bool":
        return first not in _FALSE
    if kind == "int":
        return _number(first)
    if kind == "str":
        return "\n".join([first, *rest])
    if kind == "multi-str":
        return tuple(rest if not first else [first, *rest])
    raise ValueError("the answer has an unknown type")


def _number(text: str) -> int:
    if not re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", text):
        raise ValueError("the answer is no number")
    return int(text)
