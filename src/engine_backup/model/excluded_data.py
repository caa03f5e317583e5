"""Tables whose rows a backup leaves out; their structure stays."""

from __future__ import annotations

from dataclasses import dataclass

TableName = tuple[str, str]  # schema and table


@dataclass(frozen=True)
class TablePattern:
    """Tables of a component whose rows are not wanted.

    `pattern` is a table, or schema and table with a dot between, with `*` for any letters and `?` for one.
    `option` is how it was asked for.
    """

    component: str
    pattern: str
    option: str


@dataclass(frozen=True)
class TableFact:
    """A table that a dump would hold. `size` in bytes on disk; `references`: of its foreign keys."""

    name: TableName
    size: int
    references: tuple[TableName, ...] = ()


@dataclass(frozen=True)
class ExcludedData:
    """The tables whose rows are left out of one database, and how large they are together, in bytes."""

    tables: tuple[TableName, ...] = ()
    size: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The tables as `schema.table`."""
        return tuple(f"{schema}.{table}" for schema, table in self.tables)
