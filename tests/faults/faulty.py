"""The command with one fault planted in it: `python -m tests.faults.faulty SPEC -- WORDS…`.

SPEC is JSON: `kind` of step, `number` (the how manieth of this kind, from 1), `position`, `act` with its
`argument`, and `reached`, a file that says afterwards that the fault came to pass.
Nothing of the command is changed but the handler of that kind, which is wrapped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from engine_backup.drivers import administrator
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.model.errors import EngineBackupError
from engine_backup.run import journal
from tests.faults.kinds import handler_tables

BEFORE, RECORDED, AFTER = "before", "recorded", "after"
RAISE, CRASH, SIGNAL, RUN, SQL = "raise", "crash", "signal", "run", "sql"


class Fault:
    """Strikes once, at its position of its step."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._seen = 0
        self._armed = False

    def around(self, handler: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        """Return a handler that does the same, and meets the fault."""

        def wrapped(step: Any, run: Any) -> None:
            self._seen += 1
            if self._seen != self._spec["number"]:
                handler(step, run)
                return
            self._at(BEFORE)
            self._armed = True
            handler(step, run)
            self._armed = False
            self._at(AFTER)

        return wrapped

    def recorded(self) -> None:
        """A way back was recorded."""
        if self._armed:
            self._at(RECORDED)

    def _at(self, position: str) -> None:
        if position == self._spec["position"]:
            self._armed = False
            Path(self._spec["reached"]).touch()
            self._strike()

    def _strike(self) -> None:
        act, argument = self._spec["act"], self._spec.get("argument")
        if act == RAISE:
            raise EngineBackupError("planted failure", "it was planted")
        if act == CRASH:
            raise RuntimeError("planted crash")
        if act == SIGNAL:
            os.kill(os.getpid(), argument)
        elif act == RUN:
            subprocess.run(["sh", "-c", argument], stdin=subprocess.DEVNULL, check=True)
        elif act == SQL:
            _execute(Path(self._spec["root"]), argument)


def _execute(root: Path, statement: str) -> None:
    with closing(administrator.connect(LocalCluster(root).observe())) as connection:
        connection.cursor().execute(statement)


def plant(spec: dict[str, Any]) -> None:
    """Wrap the handler, and what records ways back."""
    fault = Fault(spec)
    for table in handler_tables():
        for step in list(table):
            if step.__name__ == spec["kind"]:
                table[step] = fault.around(table[step])
    add = journal.Journal.add

    def add_and_meet(*arguments: Any, **more: Any) -> Any:
        result = add(*arguments, **more)
        fault.recorded()
        return result

    journal.Journal.add = add_and_meet  # type: ignore[method-assign]


def main() -> int:
    """Plant the fault and run the command."""
    plant(json.loads(sys.argv[1]))
    del sys.argv[1:3]
    from engine_backup.cli.main import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
