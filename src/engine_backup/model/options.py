"""The table of command line options (reference section 10).

Options of databases are templates, filled in for every row of the component
table; parser, help, completions and messages are made from `all_options()`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache, partial

from engine_backup.model import verify_levels
from engine_backup.model.components import BY_NAME, DATABASES, SCOPES, Component
from engine_backup.model.live import LIVE
from engine_backup.model.modes import (
    BACKUP,
    COMMIT,
    DEMO,
    DRILL,
    ENGINE_MODES,
    EXPORT,
    EXTRACT,
    INSPECT,
    JOURNAL,
    LOOKING_MODES,
    MODES,
    RESTORE,
    ROLLBACK,
    STOCK_MODES,
    TAKING_OUT_MODES,
    VERIFY,
)
from engine_backup.model.option_values import (
    COMPRESSORS,
    TAR_COMPRESSORS,
    read_against,
    read_component,
    read_compressor,
    read_dump_format,
    read_dump_shape,
    read_export_form,
    read_history_kind,
    read_jobs,
    read_level,
    read_mode,
    read_number,
    read_on_existing,
    read_port,
    read_scope,
    read_seconds,
    read_table_pattern,
    read_tar_compressor,
)

PROMPT = object()  # value of a bare `--db-password`: ask on the terminal


class Form(Enum):
    """How an option is written."""

    FLAG = "--name"
    VALUE = "--name=value"
    OPTIONAL_VALUE = "--name[=value]"


@dataclass(frozen=True)
class Option:
    """One option. `field` names the setting, `component` (may be empty) whose setting it is.

    `read` turns the text into the setting's value, raising `UsageError`.
    `constant` is what a flag sets. `repeatable` settings are tuples. `modes`
    are those in which it has a meaning; elsewhere it is accepted, with a warning.
    """

    name: str
    field: str
    help: str
    group: str
    form: Form = Form.VALUE
    metavar: str = ""
    component: str = ""
    aliases: tuple[str, ...] = ()
    read: Callable[[str], object] = str
    constant: object = True
    repeatable: bool = False
    modes: tuple[str, ...] = STOCK_MODES
    hidden: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Where the value is kept among the settings."""
        return (self.component, self.field)


GENERAL = "General"
PACKING = "Packing of a backup"
RESTORING = "Restore"
VERIFYING = "Verify"
DRILLING = "Drill"
TAKING_OUT = "Extract and export"

# fmt: off
GENERAL_OPTIONS: tuple[Option, ...] = (
    Option("--mode", "mode", f"what to do: {', '.join(MODES)} (default: backup)", GENERAL, metavar="MODE",
           read=read_mode, modes=MODES),
    Option("--scope", "scopes", f"what to save, restore or verify: {', '.join(SCOPES)}; repeatable"
           " (default: all)", GENERAL, metavar="SCOPE", read=read_scope, repeatable=True),
    Option("--file", "file", "the archive; needed unless the mode is backup, where - is standard output",
           GENERAL, metavar="FILE", modes=(*STOCK_MODES, DRILL, *LOOKING_MODES, *TAKING_OUT_MODES)),
    Option("--log", "log", "append the log to this file", GENERAL, metavar="FILE",
           modes=(*ENGINE_MODES, DRILL)),
    Option("--tmpdir", "tmpdir", "parent of the private temporary directory (default: $TMPDIR or /tmp)",
           GENERAL, metavar="DIR", modes=(*ENGINE_MODES, DRILL, *LOOKING_MODES, *TAKING_OUT_MODES)),
    Option("--root", "root", "work on the engine under this root directory (default: /)", GENERAL,
           metavar="DIR", modes=(*ENGINE_MODES, DRILL, *LOOKING_MODES)),
    Option("--product-version", "product_version", "product version to assume instead of the installed one",
           GENERAL, metavar="VERSION", modes=(*STOCK_MODES, DRILL, INSPECT)),
    Option("--pg-bindir", "pg_bindir", "directory of the PostgreSQL programs to use", GENERAL, metavar="DIR",
           modes=MODES),
    Option("--dry-run", "dry_run", "print the plan and stop", GENERAL, form=Form.FLAG,
           modes=(BACKUP, RESTORE)),
    Option("--json", "json", "print JSON, and nothing else: the plan of --dry-run, the journals, what"
           " inspect, list and a drill find, or the log-ins of --credentials", GENERAL, form=Form.FLAG,
           modes=(BACKUP, RESTORE, DRILL, JOURNAL, *LOOKING_MODES, EXTRACT)),
    Option("--run", "run", "the restore to roll back or to commit, by the name that journal shows", GENERAL,
           metavar="NAME", modes=(ROLLBACK, COMMIT)),
    Option("--include-path", "include_paths", "save or restore this path too; may be given several times",
           GENERAL, metavar="PATH", repeatable=True, modes=(BACKUP, RESTORE)),
    Option("--exclude-table-data", "excluded_tables", "leave out the rows of tables of a database, such as"
           " dwh:*_samples_history; may be given several times", PACKING, metavar="C:PATTERN",
           read=read_table_pattern, repeatable=True, modes=(BACKUP,)),
    Option("--hook-timeout", "hook_timeout", "how long the scripts of a stage, and each program, among the"
           " hooks may take (default: 3600)", GENERAL, metavar="SECONDS", read=read_seconds),
    Option("--jobs", "jobs", "how many databases, files among them, are saved at the same time (default: by"
           " processors); 1: one after the other", GENERAL, metavar="N", read=read_jobs, modes=(BACKUP,)),
    Option("--archive-compressor", "archive_compressor", f"compress the whole archive: {TAR_COMPRESSORS}"
           " (default: None)", PACKING, metavar="C", read=read_tar_compressor, modes=(BACKUP,)),
    Option("--files-compressor", "files_compressor", f"compress the files: {TAR_COMPRESSORS}"
           " (default: xz)", PACKING, metavar="C", read=read_tar_compressor, modes=(BACKUP,)),
    Option("--fast-backup", "preset", "preset: the quickest backup", PACKING, form=Form.FLAG,
           constant="fast-backup", modes=(BACKUP,)),
    Option("--fast-restore", "preset", "preset: a quick restore, with stock too", PACKING, form=Form.FLAG,
           constant="fast-restore", modes=(BACKUP,)),
    Option("--small-size", "preset", "preset: the smallest archive", PACKING, form=Form.FLAG,
           constant="small-size", modes=(BACKUP,)),
    Option("--classic", "preset", "preset: every stock engine-backup restores it, without zstd", PACKING,
           form=Form.FLAG, constant="classic", modes=(BACKUP,)),
    Option("--no-overwrite", "no_overwrite", "refuse to replace an existing archive", PACKING,
           form=Form.FLAG, modes=(BACKUP, EXPORT)),
    Option("--give-up", "give_up", "leave what a rollback cannot take back, and set the journal aside",
           GENERAL, form=Form.FLAG, modes=(ROLLBACK,)),
    Option("--restore-permissions", "permissions", "restore grants to other roles (custom dumps)", RESTORING,
           form=Form.FLAG, modes=(RESTORE,)),
    Option("--no-restore-permissions", "permissions", "leave grants to other roles out", RESTORING,
           form=Form.FLAG, constant=False, modes=(RESTORE,)),
    Option("--keep-temporary-data", "keep_temporary_data",
           "keep running tasks, locks and states of the engine database as they were", RESTORING,
           form=Form.FLAG, modes=(RESTORE,)),
    Option("--provision-all-databases", "provision_all", "create each database of the archive", RESTORING,
           form=Form.FLAG, modes=(RESTORE,)),
    Option("--on-existing", "on_existing", "what to do when a database to create is there and not empty:"
           " refuse, or replace it and keep the old one under another name", RESTORING, metavar="WAY",
           read=read_on_existing, modes=(RESTORE,)),
    Option("--keep-undo", "keep_undo", "keep the old state after a success: rollback brings it back,"
           " commit drops it", RESTORING, form=Form.FLAG, modes=(RESTORE,)),
    Option("--run-engine-setup", "run_engine_setup", "run engine-setup when the restore is complete, with"
           " answers from the backup", RESTORING, form=Form.FLAG, modes=(RESTORE,)),
    Option("--no-analyze", "analyze", "do not gather statistics of restored databases; queries are slow until"
           " the server does", RESTORING, form=Form.FLAG, constant=False, modes=(RESTORE,)),
    Option("--yes", "yes", "do not ask before a database is replaced", RESTORING, form=Form.FLAG,
           modes=(RESTORE,)),
    Option("--provision-admin-user", "administrator",
           "role that may create roles and databases on a remote server", RESTORING, metavar="USER",
           modes=(RESTORE,)),
    Option("--provision-admin-passfile", "administrator_passfile",
           "its password: the first line of this file", RESTORING, metavar="FILE", modes=(RESTORE,)),
    Option("--he-remove-storage-vm", "he_remove_storage_vm",
           "remove the hosted-engine storage domain and VM from the database", RESTORING, form=Form.FLAG,
           modes=(RESTORE,)),
    Option("--he-remove-hosts", "he_remove_hosts", "remove the hosted-engine hosts from the database",
           RESTORING, form=Form.FLAG, modes=(RESTORE,)),
    Option("--allow-path", "allow_paths", "restore this path although it is outside of what an engine owns",
           RESTORING, metavar="PATH", repeatable=True, modes=(RESTORE,)),
    Option("--run-restored-hooks", "run_restored_hooks", "run hooks that come from the archive too",
           RESTORING, form=Form.FLAG, modes=(RESTORE,)),
    Option("--accept-archived-hosts", "accept_archived_hosts",
           "connect to remote database hosts that the archive names", RESTORING, form=Form.FLAG,
           modes=(RESTORE,)),
    Option("--level", "level", verify_levels.help_text(), VERIFYING, metavar="LEVEL", read=read_level,
           modes=(VERIFY,)),
    Option("--against", "against", f"compare what was restored with the databases that are live now: {LIVE};"
           " those of the conf files, or of --db-host and the options beside it", DRILLING, metavar="WHAT",
           read=read_against, modes=(DRILL,)),
    Option("--output", "output", "where to: a new or empty directory for extract (default: one thing goes to"
           " standard output), the new archive for export", TAKING_OUT, metavar="PLACE",
           modes=TAKING_OUT_MODES),
    Option("--component", "components", f"extract the dump of this component: {', '.join(BY_NAME)};"
           " repeatable", TAKING_OUT, metavar="C", read=read_component, repeatable=True, modes=(EXTRACT,)),
    Option("--as", "shape", "extract dumps as they are (dump), or as SQL text (sql)", TAKING_OUT,
           metavar="FORM", read=read_dump_shape, modes=(EXTRACT,)),
    Option("--pki", "pki", "extract the certificates and keys", TAKING_OUT, form=Form.FLAG,
           modes=(EXTRACT,)),
    Option("--credentials", "credentials", "extract how to log in to the databases, with passwords",
           TAKING_OUT, form=Form.FLAG, modes=(EXTRACT,)),
    Option("--fqdn", "fqdn", "extract the name of the engine's machine", TAKING_OUT, form=Form.FLAG,
           modes=(EXTRACT,)),
    Option("--same-owner", "same_owner", "extract files with the owner and mode that they have in the"
           " archive; needs root", TAKING_OUT, form=Form.FLAG, modes=(EXTRACT,)),
    Option("--to", "export_form", "convert to this form: classic, which every stock engine-backup restores"
           " without zstd, or native, our default", TAKING_OUT, metavar="FORM", read=read_export_form,
           modes=(EXPORT,)),
    Option("--vms", "vms", "number of virtual machines of the sample engine", "Demo", metavar="N",
           read=read_number, modes=(DEMO,)),
    Option("--days", "days", "days of history of the sample engine", "Demo", metavar="N", read=read_number,
           modes=(DEMO,)),
    Option("--keep", "keep", "leave the sample engine in this directory", "Demo", metavar="DIR",
           modes=(DEMO,)),
)

# Filled in for each database: {x} is the component's option prefix, {label} its name in messages.
DATABASE_OPTIONS: tuple[Option, ...] = (
    Option("--change-{x}db-credentials", "change", "restore with other credentials than the backup's", "",
           form=Form.FLAG, modes=(RESTORE,)),
    Option("--{x}db-host", "host", "database host", "", metavar="HOST", modes=(RESTORE, DRILL)),
    Option("--{x}db-port", "port", "database port (default: 5432)", "", metavar="PORT", read=read_port,
           modes=(RESTORE, DRILL)),
    Option("--{x}db-user", "user", "database user", "", metavar="USER", modes=(RESTORE, DRILL)),
    Option("--{x}db-passfile", "passfile", "read the password from the first line of this file", "",
           metavar="FILE", modes=(RESTORE, DRILL)),
    Option("--{x}db-password", "password", "the password; without a value: ask on the terminal", "",
           form=Form.OPTIONAL_VALUE, metavar="PASSWORD", modes=(RESTORE, DRILL)),
    Option("--{x}db-name", "name", "database name", "", metavar="NAME", modes=(RESTORE, DRILL)),
    Option("--{x}db-secured", "secured", "the connection uses TLS", "", form=Form.FLAG,
           modes=(RESTORE, DRILL)),
    Option("--{x}db-sec-validation", "secured_validation", "validate the server's certificate", "",
           form=Form.FLAG, aliases=("--{x}db-secured-validation",), modes=(RESTORE, DRILL)),
    Option("--{x}db-compressor", "compressor", f"compress the dump: {COMPRESSORS} (default: zstd)", "",
           metavar="C", read=read_compressor,
           modes=(BACKUP,)),
    Option("--{x}db-dump-format", "dump_format", "plain or custom (default: custom)", "",
           metavar="FORMAT",
           read=read_dump_format, modes=(BACKUP,)),
    Option("--{x}db-restore-jobs", "restore_jobs",
           "processes that load a custom dump (default: by size and processors)", "", metavar="N",
           read=read_jobs, modes=(RESTORE,)),
    Option("--provision-{x}db", "provision", "create this database", "", form=Form.FLAG, modes=(RESTORE,)),
)
# fmt: on


HISTORY_OPTION = Option(
    "--{x}exclude", "excluded_history", "leave out rows of history: {words}; repeatable", "", metavar="KIND",
    repeatable=True, modes=(BACKUP,),
)  # fmt: skip


def history_option(component: Component) -> Option:
    """Return the option that leaves out rows of a component with kinds of history."""
    words = ", ".join(word for word, _ in component.history_kinds)
    option = fill_in(HISTORY_OPTION, component)
    return replace(option, help=option.help.format(words=words), read=partial(read_history_kind, component))


def fill_in(template: Option, component: Component) -> Option:
    """Return the option of one database that a template stands for."""
    prefix = component.option_prefix
    return replace(
        template,
        name=template.name.format(x=prefix),
        aliases=tuple(alias.format(x=prefix) for alias in template.aliases),
        component=component.name,
        group=f"{component.label} database",
    )


@lru_cache(maxsize=1)
def all_options() -> tuple[Option, ...]:
    """Return every option, the general ones first."""
    database_options = (fill_in(t, c) for c in DATABASES for t in DATABASE_OPTIONS)
    history_options = (history_option(c) for c in DATABASES if c.history_kinds)
    return (*GENERAL_OPTIONS, *database_options, *history_options)


def option_name(field: str, component: Component) -> str:
    """Return the name of a database's option, for messages: `option_name("host", DWH)` is `--dwh-db-host`."""
    template = next(t for t in DATABASE_OPTIONS if t.field == field)
    return template.name.format(x=component.option_prefix)
