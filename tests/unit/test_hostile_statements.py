"""Statements that no dump holds."""

from __future__ import annotations

import io

import pytest

from engine_backup.drivers.plain_dump import Statement, split
from engine_backup.plan.hostile_statements import meaning_of_forbidden
from tests.support.golden_plain_dumps import GOLDEN_DUMPS, NAMES

FORBIDDEN = [
    "COPY t FROM PROGRAM 'id';",
    "copy t from '/etc/passwd';",
    'COPY "t" TO STDOUT;',
    "COPY (SELECT 1) TO PROGRAM 'sh';",
    "COPY/**/t FROM PROGRAM 'id';",
    "DO $$begin end$$;",
    "do 'begin end';",
    "DO/* x */$$begin end$$;",
    "ALTER SYSTEM SET archive_command = 'id';",
    "alter/**/system reset all;",
    "ALTER -- x\n SYSTEM RESET ALL;",
    "LOAD 'x';",
    "CREATE ROLE x SUPERUSER;",
    "ALTER USER engine SUPERUSER;",
    "DROP DATABASE engine;",
    "CREATE\n\tUSER x;",
    "CREATE TABLESPACE x LOCATION '/';",
]
ORDINARY = [
    "CREATE USER MAPPING FOR x SERVER s;",
    "CREATE\tUSER\n /* x */ MAPPING FOR x SERVER s;",
    "CREATE DOMAIN d AS text;",
    "CREATE TABLE role (a int);",
    "ALTER TABLE system ADD a int;",
    "CREATE VIEW databases AS SELECT 1;",
    "COMMENT ON DATABASE engine IS 'x';",
    "CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING;",
    "SELECT 'COPY t FROM PROGRAM';",
    "LOADING;",
    "",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_forbidden(statement: str) -> None:
    assert meaning_of_forbidden(statement)


@pytest.mark.parametrize("statement", ORDINARY)
def test_ordinary(statement: str) -> None:
    assert not meaning_of_forbidden(statement)


def test_long_statements_are_judged_by_their_beginning() -> None:
    assert not meaning_of_forbidden("CREATE " + "/* */ " * 100_000 + "ROLE")
    assert meaning_of_forbidden("DO " + "x" * 1_000_000)


@pytest.mark.parametrize(("archive", "component", "text"), GOLDEN_DUMPS, ids=NAMES)
def test_no_real_dump_has_one(archive: str, component: str, text: bytes) -> None:
    items = [item for item in split(io.BytesIO(text), archive) if isinstance(item, Statement)]
    assert len(items) > 10
    assert not [item for item in items if meaning_of_forbidden(item.text.decode())]
