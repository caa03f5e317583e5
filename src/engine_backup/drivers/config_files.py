"""The product's own configuration: what it says, and in which file.

Read with the rules of the product (reference 7.3), not of a shell: nothing in
these files is ever executed, so that files of a stranger's archive can be read
by the same code as those of this machine.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine_backup.drivers import java_properties
from engine_backup.drivers.configuration_source import ConfigurationSource, Source, open_source
from engine_backup.model.components import DATABASES, Component
from engine_backup.model.errors import ConfigurationError
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret

DEFAULTS_FILE = "/usr/share/ovirt-engine/services/ovirt-engine/ovirt-engine.conf"
ENGINE_FILE = "/etc/ovirt-engine/engine.conf"
DWH_FILE = "/etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf"

DEFAULT_HOST = "localhost"
DEFAULT_PORT = "5432"

# Values may be built from earlier values, so a short file could describe an enormous one.
VALUE_LIMIT = 1 << 16

WANTED_PATHS = re.compile(
    rb"etc/ovirt-engine/engine\.conf"
    rb"|etc/ovirt-engine/engine\.conf\.d/[^\x00-\x1f\x7f]+\.conf"
    rb"|etc/ovirt-engine-dwh/ovirt-engine-dwhd\.conf"
    rb"|etc/ovirt-engine-dwh/ovirt-engine-dwhd\.conf\.d/[^\x00-\x1f\x7f]+\.conf"
    rb"|etc/ovirt-engine-setup\.conf"
    rb"|etc/ovirt-engine-setup\.conf\.d/[^\x00-\x1f\x7f/]+\.conf"
    rb"|var/lib/ovirt-engine-reports/build-conf/master\.properties"
)

_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANK = re.compile(r"\s*(#.*)?", re.DOTALL)
_ASSIGNMENT = re.compile(r"\s*(\w+)=(.*)", re.DOTALL | re.ASCII)
_PIECE = re.compile(r"\\(?P<literal>.?)|\$\{(?P<name>[^}]*)\}|(?P<special>[\"$ #])|[^\\\"$ #]+", re.DOTALL)
_TRUE = frozenset({"t", "true", "y", "yes", "1"})


@dataclass(frozen=True)
class Setting:
    """One value, and the absolute path of the file that it comes from. `repr` shows no value."""

    value: str = field(repr=False)
    path: str


@dataclass(frozen=True)
class Configuration:
    """What all configuration files together say, by variable name."""

    settings: Mapping[str, Setting]

    def get(self, name: str, default: str = "") -> str:
        """Return a variable's value, or the default when no file sets it."""
        setting = self.settings.get(name)
        return default if setting is None else setting.value

    def source(self, name: str) -> str:
        """Return the path of the file that a variable's value comes from, or an empty text."""
        setting = self.settings.get(name)
        return "" if setting is None else setting.path

    def is_true(self, name: str) -> bool:
        """Say whether a variable holds one of the words that the product takes for true."""
        return self.get(name).strip().lower() in _TRUE


def is_wanted(path: bytes) -> bool:
    """Say whether `load` or the answer files' reader needs this member of an archive's files.

    `path` is relative to the root, without `./`. The key for the mapping that
    is given to `load` is `"/" + os.fsdecode(path)`.
    """
    return WANTED_PATHS.fullmatch(path) is not None


def parse(text: str, earlier: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the variables that one file sets (reference 7.3).

    `${NAME}` stands for a value of this file or else of `earlier`, or for
    nothing. Raises `EngineBackupError` naming the file (`name`) and the line,
    never the value.
    """
    values: dict[str, str] = {}
    known = ChainMap(values, dict(earlier))
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if _BLANK.fullmatch(line):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            raise ConfigurationError(f"{name}:{number}: neither NAME=value nor a comment")
        try:
            values[match.group(1)] = _expanded(match.group(2), known)
        except ValueError as error:
            raise ConfigurationError(f"{name}:{number}: {match.group(1)}: {error}") from None
    return values


def load(source: Source) -> Configuration:
    """Return the configuration of a root directory or of an archive (reference 7.2).

    A variable of a database is taken from the files of the component that owns
    it, so the copy of the engine's log-in in DWH's files, which may be stale,
    counts only where the engine itself is not configured.
    """
    files = open_source(source)
    defaults = _read(files, [DEFAULTS_FILE], {})
    engine = _read(files, _with_directory(files, ENGINE_FILE), defaults)
    dwh = _read(files, _with_directory(files, DWH_FILE), {**defaults, **engine})
    settings = {**defaults, **engine, **dwh, **_properties(files)}
    settings.update({name: setting for name, setting in engine.items() if _belongs_to_engine(name)})
    return Configuration(settings)


def credentials(configuration: Configuration, component: Component) -> Credentials | None:
    """Return the log-in of a component's database; None when it is not configured.

    What the engine package's own defaults file says does not count as
    configured: it names every component on every machine. Values that no file
    gives are the product's usual ones. Raises `EngineBackupError` for a port
    that is no number.
    """
    return _login(configuration, component, component.conf_prefix)


def copied_credentials(source: Source, component: Component) -> tuple[Credentials, ...]:
    """Return what each of the files with this component's log-in says by itself, whichever counts in the end.

    Raises `EngineBackupError` as `load` does.
    """
    files = open_source(source)
    found = []
    for path in component.rewritten_files:
        text = files.read(path)
        if text is not None:
            values = parse(text, {}, path)
            settings = {name: Setting(value, path) for name, value in values.items()}
            found.append(credentials(Configuration(settings), component))
    return tuple(copy for copy in found if copy is not None)


def reader_credentials(configuration: Configuration, component: Component) -> Credentials | None:
    """Return the second, read-only log-in of a component's database (Grafana's to DWH's), or None."""
    prefix = component.reader_conf_prefix
    return _login(configuration, component, prefix) if configuration.get(f"{prefix}DB_USER") else None


def _login(configuration: Configuration, component: Component, conf_prefix: str) -> Credentials | None:
    prefix = f"{conf_prefix}DB_"
    names = [f"{prefix}{word}" for word in ("USER", "PASSWORD", "DATABASE", "HOST", "PORT")]
    sources = [path for path in map(configuration.source, names) if path not in {"", DEFAULTS_FILE}]
    if not conf_prefix or not sources:
        return None
    return Credentials(
        host=configuration.get(f"{prefix}HOST") or DEFAULT_HOST,
        port=_port(configuration, f"{prefix}PORT"),
        user=configuration.get(f"{prefix}USER") or component.default_user,
        password=Secret(configuration.get(f"{prefix}PASSWORD")),
        database=configuration.get(f"{prefix}DATABASE") or component.default_database,
        secured=configuration.is_true(f"{prefix}SECURED"),
        secured_validation=configuration.is_true(f"{prefix}SECURED_VALIDATION"),
        source=sources[0],
    )


def _port(configuration: Configuration, name: str) -> int:
    text = configuration.get(name) or DEFAULT_PORT
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ConfigurationError(f"{configuration.source(name)}: {name} is not the number of a port")
    return int(text)


def _belongs_to_engine(name: str) -> bool:
    owner = next((c for c in DATABASES if name.startswith(f"{c.conf_prefix}DB_")), None)
    return owner is not None and owner.conf_file.startswith(f"{ENGINE_FILE}.d/")


def _with_directory(files: ConfigurationSource, path: str) -> list[str]:
    return [path, *(name for name in files.below(f"{path}.d") if name.endswith(".conf"))]


def _read(files: ConfigurationSource, paths: list[str], earlier: Mapping[str, Setting]) -> dict[str, Setting]:
    values = {name: setting.value for name, setting in earlier.items()}
    settings: dict[str, Setting] = {}
    for path in paths:
        text = files.read(path)
        if text is not None:
            found = parse(text, values, path)
            values.update(found)
            settings.update({name: Setting(value, path) for name, value in found.items()})
    return settings


def _properties(files: ConfigurationSource) -> dict[str, Setting]:
    """Return the log-ins that stand in Java properties, under the names they would have in a conf file."""
    settings = {}
    for component in DATABASES:
        text = files.read(component.properties_file) if component.properties_file else None
        if text is not None:
            raw = text.encode("utf-8", "surrogateescape")
            values = java_properties.parse(raw.decode(java_properties.ENCODING), component.properties_file)
            for word, key in component.properties:
                if key in values:
                    name = f"{component.conf_prefix}DB_{word}"
                    settings[name] = Setting(values[key], component.properties_file)
    return settings


def _expanded(text: str, values: Mapping[str, str]) -> str:
    """Return what a value means: quotes removed, escapes and references resolved. Raises `ValueError`."""
    pieces: list[str] = []
    length = 0
    quoted = False
    for match in _PIECE.finditer(text):
        special = match["special"]
        if special == "$":
            raise ValueError("$ is not followed by {NAME}")
        if special == '"':
            quoted = not quoted
            continue
        if special and not quoted:
            break
        piece = _piece(match, values)
        length += len(piece)
        if length > VALUE_LIMIT:
            raise ValueError(f"longer than {VALUE_LIMIT} characters")
        pieces.append(piece)
    return "".join(pieces)


def _piece(match: re.Match[str], values: Mapping[str, str]) -> str:
    if match["literal"] is not None:
        return match["literal"]
    if match["name"] is not None:
        return values.get(match["name"], "")
    return match.group()
