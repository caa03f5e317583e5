"""What shell scripts do: a faithful stand-in of stock's tool, and the floors below it and us."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.ground import Ground
from benchmarks.meter import Invocation, measure

SCRIPTS = Path(__file__).parent / "scripts"
STOCK, BY_HAND, TO_NOTHING, BARE_LOAD = "stock", "by hand", "dumps to nothing", "bare pg_restore"


def stock_backup(ground: Ground) -> Invocation:
    """Return how stock makes its archive."""
    return _script(ground, "backup.sh", STOCK)


def stock_verify(ground: Ground) -> Invocation:
    """Return how stock verifies its archive."""
    return _script(ground, "verify.sh", STOCK)


def stock_restore(ground: Ground) -> Invocation:
    """Return how stock restores its archive into empty databases."""
    return _script(ground, "restore.sh", STOCK)


def backup_by_hand(ground: Ground) -> Invocation:
    """Return a parallel pipeline of pg_dump and zstd."""
    return _script(ground, "by_hand.sh", BY_HAND)


def dumps_to_nothing(ground: Ground) -> Invocation:
    """Return parallel dumps that are thrown away."""
    return _script(ground, "dumps_to_nothing.sh", TO_NOTHING)


def unpack_dumps(ground: Ground, archive: Path) -> None:
    """Unpack the dumps of an archive for `bare_load`; not measured."""
    variables = {**_variables(ground, BARE_LOAD), "ARCHIVE": str(archive)}
    measure(Invocation(("bash", str(SCRIPTS / "unpack_dumps.sh")), {**ground.environment, **variables}))


def bare_load(ground: Ground) -> Invocation:
    """Return a load of the dumps that `unpack_dumps` unpacked."""
    return _script(ground, "bare_load.sh", BARE_LOAD)


def load_by_hand(ground: Ground) -> Invocation:
    """Return a load of the dumps that `unpack_dumps` unpacked, of all databases at the same time."""
    return _script(ground, "load_by_hand.sh", BY_HAND)


def _script(ground: Ground, name: str, contender: str) -> Invocation:
    archive = ground.archive(contender)
    return Invocation(
        words=("bash", str(SCRIPTS / name)),
        environment={**ground.environment, **_variables(ground, contender)},
        watched=(ground.temporary, ground.archives(contender)),
        archive=archive,
        server=ground.server.pid,
    )


def _variables(ground: Ground, contender: str) -> dict[str, str]:
    login = ground.engine.sample.credentials["engine"]
    return {
        "ARCHIVE": str(ground.archive(contender)),
        "DATABASES": str(ground.engine.databases),
        "DUMPS": str(ground.directory / "dumps"),
        "ENGINE_DATABASE": login.database,
        "ENGINE_USER": login.user,
        "NAMES": str(ground.engine.names),
        "PGPASSFILE": str(ground.engine.passwords),
        "PORT": str(ground.server.port),
        "PYTHON": sys.executable,
        "ROOT": str(ground.root),
        "SERVER": ground.server.host,
        "TEMPORARY": str(ground.temporary),
    }
