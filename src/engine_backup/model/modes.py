"""What the tool can be asked to do."""

from __future__ import annotations

from collections.abc import Mapping

BACKUP, RESTORE, VERIFY, DEMO = "backup", "restore", "verify", "demo"
ROLLBACK, COMMIT, JOURNAL = "rollback", "commit", "journal"
INSPECT, LIST = "inspect", "list"
DRILL = "drill"
EXTRACT, EXPORT = "extract", "export"
# A word like any other: in the place of a file it stands for standard output.
STANDARD = "-"
STOCK_MODES: tuple[str, ...] = (BACKUP, RESTORE, VERIFY)
JOURNAL_MODES: tuple[str, ...] = (ROLLBACK, COMMIT, JOURNAL)
ENGINE_MODES: tuple[str, ...] = (*STOCK_MODES, *JOURNAL_MODES)
LOOKING_MODES: tuple[str, ...] = (INSPECT, LIST)
# These need no engine, no database server and no log.
TAKING_OUT_MODES: tuple[str, ...] = (EXTRACT, EXPORT)
MODES: tuple[str, ...] = (*ENGINE_MODES, DRILL, *LOOKING_MODES, *TAKING_OUT_MODES, DEMO)

# What the words after these modes are; other modes take none.
WORDS_OF_MODES: Mapping[str, str] = {
    VERIFY: "FILE",
    DRILL: "FILE",
    INSPECT: "FILE",
    LIST: "DIR|FILE...",
    EXTRACT: "FILE [PATH...]",
    EXPORT: "FILE OUT",
}
