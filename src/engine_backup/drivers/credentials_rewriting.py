"""Writing changed credentials into the product's conf files (reference 9.4).

Only the nine lines of the component's own block change, or the five keys of a file of
Java properties. Every other line, comment and key of the file stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
from datetime import datetime
from pathlib import Path

from engine_backup.drivers import java_properties
from engine_backup.drivers.durable import sync_directory
from engine_backup.model.components import Component
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials

DRIVER = "org.postgresql.Driver"

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_WORDS = ("HOST", "PORT", "USER", "PASSWORD", "DATABASE", "SECURED", "SECURED_VALIDATION", "DRIVER", "URL")


def rewritten(text: str, component: Component, credentials: Credentials) -> str:
    """Return a conf file's text with the component's block saying these credentials.

    The block stands where its first line stood, else at the end. Raises
    `EngineBackupError` for a value with a line end or NUL, which no conf file can hold.
    """
    prefix = f"{component.conf_prefix}DB_"
    own = re.compile(rf"\s*{re.escape(prefix)}(?:{'|'.join(_WORDS)})=")
    block = login_block(prefix, credentials)
    result: list[str] = []
    written = False
    for line in _LINES.findall(text):
        if not own.match(line):
            result.append(line)
        elif not written:
            result.append(block)
            written = True
    if not written:
        complete = not result or result[-1].endswith(("\r", "\n"))
        result.append(block if complete else f"\n{block}")
    return "".join(result)


def rewritten_properties(text: str, component: Component, credentials: Credentials) -> str:
    """Return the text of the component's Java properties saying these credentials.

    Whether the connection uses TLS has no key there (reference 6). Raises `EngineBackupError`
    for a file that cannot be read as properties.
    """
    values = _values(credentials)
    changed = {key: values[word] for word, key in component.properties}
    raw = text.encode("utf-8", "surrogateescape").decode(java_properties.ENCODING)
    written = java_properties.rewritten(raw, changed, component.properties_file)
    return written.encode(java_properties.ENCODING).decode("utf-8", "surrogateescape")


def missing_file(root: Path, component: Component) -> str:
    """Return what keeps `rewrite` from working ("Can not find FILE"), or an empty text."""
    path = component.credentials_file
    if not path or os.path.lexists(root / path.lstrip("/")):
        return ""
    return f"Can not find {path}"


def rewrite(root: Path, component: Component, credentials: Credentials, when: datetime) -> list[Path]:
    """Rewrite each conf file with a block of this component, and return their paths.

    Before, each is copied to `copy_path`. The component's own file must exist;
    the others are rewritten where they exist. Modes, owners and extended
    attributes stay. Raises `EngineBackupError`; a file is replaced whole or not at all.
    """
    problem = missing_file(root, component)
    if problem:
        raise EngineBackupError(problem)
    places = [root / path.lstrip("/") for path in component.credentials_files]
    existing = [place for place in places if os.path.lexists(place)]
    change = rewritten_properties if component.properties_file else rewritten
    contents = [(place, change(_text(place), component, credentials)) for place in existing]
    for place, content in contents:
        _keep_copy(place, when)
        _replace(place, content, when)
    return existing


def concerned_paths(path: Path, when: datetime) -> tuple[Path, ...]:
    """Return every name beside a conf file, its own included, that `rewrite` makes or changes."""
    return (path, copy_path(path, when), _passing(path, when))


def copy_path(path: Path, when: datetime) -> Path:
    """Return where the previous content of a rewritten file is kept: `FILE.YYYYmmddHHMMSS`."""
    return path.with_name(f"{path.name}.{when:%Y%m%d%H%M%S}")


def _passing(path: Path, when: datetime) -> Path:
    """Return the name under which new files are written; a service that starts meanwhile does not read it."""
    return path.with_name(f".{path.name}.{when:%Y%m%d%H%M%S}.new")


def _values(credentials: Credentials) -> dict[str, str]:
    return {
        "HOST": credentials.host,
        "PORT": str(credentials.port),
        "USER": credentials.user,
        "PASSWORD": credentials.password.reveal(),
        "DATABASE": credentials.database,
        "SECURED": str(credentials.secured),
        "SECURED_VALIDATION": str(credentials.secured_validation),
        "DRIVER": DRIVER,
    }


def login_block(prefix: str, credentials: Credentials) -> str:
    """Return the nine lines of a log-in, as engine-setup writes them; `prefix` is such as "ENGINE_DB_"."""
    values = _values(credentials)
    lines = [f'{prefix}{word}="{_quoted(value, f"{prefix}{word}")}"\n' for word, value in values.items()]
    return "".join([*lines, f'{prefix}URL="{_address(prefix, credentials)}"\n'])


def _quoted(value: str, name: str) -> str:
    """Escape a value for double quotes so that the product and a shell read the same.

    Both take a backslash before each of these four characters as "literally".
    Engine-setup also escapes `:`, which a shell reads differently (quirk 27).
    """
    if re.search(r"[\r\n\0]", value):
        raise EngineBackupError(f"{name} holds a line end, which a configuration file cannot hold")
    return re.sub(r'([\\"$`])', r"\\\1", value)


def _address(prefix: str, credentials: Credentials) -> str:
    """Return the JDBC address as engine-setup writes it: with references (reference 7.1)."""
    options = []
    if credentials.secured:
        options.append("ssl=true")
    if not credentials.secured_validation:
        options.append("sslfactory=org.postgresql.ssl.NonValidatingFactory")
    place = f"${{{prefix}HOST}}:${{{prefix}PORT}}/${{{prefix}DATABASE}}"
    return f"jdbc:postgresql://{place}?{'&'.join(options)}"


def _text(place: Path) -> str:
    """Read a conf file. A symbolic link is refused: what it points at is no conf file of the product."""
    try:
        with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise EngineBackupError(f"cannot read {place}: {error.strerror}") from error


def _keep_copy(place: Path, when: datetime) -> None:
    """Copy a file with its attributes. A copy of the same second stays: it holds the older content."""
    target = copy_path(place, when)
    if os.path.lexists(target):
        return
    try:
        _write_beside(target, place, place.read_bytes(), _passing(place, when))
    except OSError as error:
        raise EngineBackupError(f"Failed to backup {place}: {error.strerror}") from error
    times = place.stat()
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def _replace(place: Path, text: str, when: datetime) -> None:
    try:
        _write_beside(place, place, text.encode("utf-8", "surrogateescape"), _passing(place, when))
    except OSError as error:
        raise EngineBackupError(f"cannot rewrite {place}: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise EngineBackupError(f"cannot rewrite {place}: a value is no text in UTF-8") from error


def _write_beside(target: Path, like: Path, content: bytes, passing: Path) -> None:
    """Put a new file at `target` in one step, with the owner, mode and attributes of `like`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(passing, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            _take_attributes(descriptor, str(passing), like)
            os.fsync(descriptor)
        passing.replace(target)
    except BaseException:
        passing.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


def _take_attributes(descriptor: int, name: str, like: Path) -> None:
    owner, own = like.stat(), os.fstat(descriptor)
    if (owner.st_uid, owner.st_gid) != (own.st_uid, own.st_gid):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    shutil.copystat(like, name)
    os.utime(descriptor)
