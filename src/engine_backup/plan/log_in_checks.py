"""Whether the archived configuration names the databases and owners that the dumps are of."""

from __future__ import annotations

from collections.abc import Sequence

from engine_backup.model.checks import Check, Outcome
from engine_backup.model.components import Component
from engine_backup.model.facts import ArchiveFacts, Credentials, DumpFacts
from engine_backup.model.printable import printable

NAME = "log-in"


def log_in(component: Component, facts: ArchiveFacts, copies: Sequence[Credentials] = ()) -> Check:
    """Say whether the log-in of a component's database is that of its dump's owner.

    What a dump says goes before what the manifest says: owners of tables, then who dumped it, who must
    have been the one that the configuration names. `copies` are what other files say of the same database,
    for other services.
    """
    dump = facts.dumps[component.name]
    if not facts.has_files:
        return Check(component.name, NAME, Outcome.NOT_IN_ARCHIVE, "no configuration files")
    credentials = facts.credentials.get(component.name)
    if credentials is None:
        finding = f"no configuration file names the {component.label} database, of which there is a dump"
        return Check(component.name, NAME, Outcome.FAIL, findings=(finding,))
    # What else reads the database need not own it.
    logins = (*copies, *((facts.readers[component.name],) if component.name in facts.readers else ()))
    findings = [*_owner(component, credentials, dump), *_database(component, credentials, dump)]
    findings += [finding for copy in copies for finding in _owner(component, copy, dump)]
    findings += [finding for login in logins for finding in _database(component, login, dump)]
    detail = f"{printable(credentials.user)} of database {printable(credentials.database)}"
    detail += "" if dump.owners or dump.role else "; the dump names no owner to compare with"
    outcome = Outcome.FAIL if findings else Outcome.PASS
    return Check(component.name, NAME, outcome, detail, tuple(dict.fromkeys(findings)))


def _owner(component: Component, credentials: Credentials, dump: DumpFacts) -> tuple[str, ...]:
    user, source = printable(credentials.user), printable(credentials.source)
    # pg_restore does not mark where a name begins, so of one with a blank only the last word is known.
    if dump.owners and credentials.user.rpartition(" ")[2] not in dump.owners:
        owners = ", ".join(printable(owner) for owner in dump.owners)
        return (
            f"{source} names the user {user},"
            f" but the tables of the {component.label} dump belong to {owners}",
        )
    if dump.role and credentials.user != dump.role:
        return (
            f"{source} names the user {user}, but {printable(dump.role)} made the {component.label} dump",
        )
    return ()


def _database(component: Component, credentials: Credentials, dump: DumpFacts) -> tuple[str, ...]:
    if not dump.database or dump.database == credentials.database:
        return ()
    named, of = printable(credentials.database), printable(dump.database)
    source = printable(credentials.source)
    return (f"{source} names the database {named}, but the {component.label} dump is of database {of}",)
