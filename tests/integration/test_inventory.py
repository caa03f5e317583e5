"""Counting rows and objects in real databases: of ours, of old releases, of strangers, and of copies."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from engine_backup.drivers import (
    dumps,
    inventory,
    inventory_document,
    postgres,
    postgres_programs,
    snapshots,
)
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME, DWH, ENGINE
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.inventory import MOST_OBJECTS, OBJECT_COUNTS, Inventory, NamedObject
from engine_backup.model.presets import PLAIN, Encoding, Packing
from engine_backup.run import snapshots as run_snapshots
from engine_backup.sample.compare import BACKUP_EVENTS
from tests.support import golden
from tests.support.machine import Machine, change_options, login
from tests.support.sample import Original

PROGRAMS = postgres_programs.with_server()
OBJECTS = """
    CREATE SCHEMA "other Schema";
    CREATE DOMAIN percent AS int DEFAULT 1 CHECK (VALUE BETWEEN 0 AND 100) NOT NULL;
    CREATE TYPE colour AS ENUM ('red', 'green');
    CREATE TYPE pair AS (a int, b int);
    CREATE TYPE span AS RANGE (subtype = float8);
    CREATE TABLE machines (id serial PRIMARY KEY, name text NOT NULL UNIQUE, load percent, CHECK (id > 0));
    CREATE TABLE "other Schema"."Odd %s ""Names" (id bigint GENERATED ALWAYS AS IDENTITY, machine int
        REFERENCES machines, EXCLUDE USING btree (machine WITH =));
    CREATE TABLE heirs (more text) INHERITS (machines);
    CREATE TABLE parts (id int NOT NULL CHECK (id > 0), machine int REFERENCES machines, PRIMARY KEY (id))
        PARTITION BY LIST (id);
    CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN (1);
    CREATE TABLE part_2 PARTITION OF parts FOR VALUES IN (2);
    CREATE TEMPORARY TABLE passing (id int);
    CREATE VIEW shown AS SELECT * FROM machines;
    CREATE MATERIALIZED VIEW kept AS SELECT * FROM machines;
    CREATE INDEX ON kept (id);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int);
    CREATE TRIGGER touched BEFORE INSERT ON machines FOR EACH ROW EXECUTE PROCEDURE touch();
    CREATE TRIGGER parts_touched AFTER INSERT ON parts FOR EACH ROW EXECUTE PROCEDURE touch();
    INSERT INTO machines (name) SELECT 'm' || n FROM generate_series(1, 30) n;
    INSERT INTO heirs (name) VALUES ('heir');
    INSERT INTO parts VALUES (1, 1);
"""
ROWS = {
    'other Schema.Odd %s "Names': 0, "public.heirs": 1, "public.machines": 30, "public.part_1": 1,
    "public.part_2": 0,
}  # fmt: skip
COUNTS = {
    "tables": 6, "views": 1, "materialized_views": 1, "sequences": 2, "indexes": 7, "constraints": 10,
    "triggers": 2, "functions": 2, "types": 4,
}  # fmt: skip


def execute(credentials: Credentials, statements: str) -> None:
    with closing(postgres.connect(credentials)) as connection, connection.cursor() as cursor:
        cursor.execute(statements)
        connection.commit()


def counted(credentials: Credentials) -> inventory.Reading:
    return inventory.observe(credentials, ENGINE)


@pytest.fixture
def database(postgres_server: ScratchServer, request: pytest.FixtureRequest) -> Iterator[Credentials]:
    name = f"inventory_{request.node.name.split('[')[0][:40]}"
    yield login(postgres_server, name, name)
    with closing(postgres_server.connect("postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            cursor.execute(f'DROP ROLE "{name}"')


def test_an_empty_database(database: Credentials) -> None:
    found = counted(database)
    assert found.counts.rows == found.counts.estimates == {}
    assert found.counts.objects == dict.fromkeys(OBJECT_COUNTS, 0)
    assert found.inventory == Inventory()


@pytest.mark.parametrize("programs", PROGRAMS, ids=lambda found: str(found.major))
def test_a_copy_on_any_server_has_as_many_of_each(programs, tmp_path: Path) -> None:
    """Dumped on the oldest server, loaded into each."""
    with (
        ScratchServer.start(programs=PROGRAMS[-1]) as old,
        ScratchServer.start(programs=programs) as new,
    ):
        first, second = login(old, "first", "first"), login(new, "second", "second")
        execute(first, OBJECTS)
        found = counted(first).counts
        assert found.rows == ROWS
        assert found.objects == COUNTS
        with (
            snapshots.snapshot(first) as (_, facts),
            dumps.dumping(
                old.programs,
                first,
                dumps.dump_arguments(Encoding(PLAIN, Packing("")), facts.name),
                tmp_path,
                Interruption(),
            ) as running,
        ):
            load(new, second, running.stdout.read())
        copy = counted(second).counts
        assert (copy.rows, copy.objects) == (ROWS, COUNTS)


def load(server: ScratchServer, credentials: Credentials, dump: bytes) -> None:
    words = [
        str(server.programs.path("psql")),
        "-Xq",
        "-v",
        "ON_ERROR_STOP=1",
        postgres.conninfo(credentials),
    ]
    environment = {"PGPASSWORD": credentials.password.reveal()}
    # Extensions are created by the server's administrator, and are there.
    wanted = re.sub(rb"(?m)^[A-Z ]* EXTENSION .*$", b"", dump)
    subprocess.run(words, input=wanted, env=environment, check=True, stdout=subprocess.DEVNULL)


def test_large_tables_are_estimated(database: Credentials) -> None:
    execute(
        database,
        """
        CREATE TABLE analyzed AS SELECT n, repeat('x', 900) AS filling FROM generate_series(1, 10000) n;
        CREATE TABLE never WITH (autovacuum_enabled = off) AS SELECT * FROM analyzed;
        CREATE TABLE small AS SELECT n FROM generate_series(1, 10) n;
        ANALYZE analyzed;
        """,
    )
    found = counted(database).counts
    assert found.rows == {"public.small": 10}
    assert found.estimates == {"public.analyzed": 10000}


def test_many_tables_are_counted_up_to_a_sum(database: Credentials) -> None:
    """Ten tables of 7 MiB: nine fit."""
    execute(
        database,
        """
        CREATE TABLE first AS SELECT n, repeat('x', 7900) AS filling FROM generate_series(1, 7) n WHERE false;
        ALTER TABLE first ALTER filling SET STORAGE PLAIN;
        INSERT INTO first SELECT n, repeat('x', 7900) FROM generate_series(1, 900) n;
        DO $$ BEGIN
            FOR n IN 0 .. 8 LOOP EXECUTE format('CREATE TABLE t%s (LIKE first INCLUDING STORAGE)', n);
                EXECUTE format('INSERT INTO t%s TABLE first', n); END LOOP;
            FOR n IN 1 .. 250 LOOP EXECUTE format('CREATE TABLE empty_%s ()', n); END LOOP;
        END $$;
        """,
    )
    found = counted(database).counts.rows
    assert sum(found.values()) == 9 * 900
    assert len(found) == 9 + 250


def test_a_snapshot_is_counted_and_stays_as_it_was(database: Credentials) -> None:
    execute(
        database, "CREATE TABLE users (user_id uuid, username text); INSERT INTO users VALUES (NULL, 'a')"
    )
    with snapshots.snapshot(database) as (connection, _):
        execute(database, "INSERT INTO users VALUES (NULL, 'b'); CREATE TABLE later (); ")
        settings = postgres.rows(connection, "SELECT name, setting FROM pg_settings ORDER BY 1")
        found = inventory.read(connection, ENGINE)
        assert found.counts.rows == {"public.users": 1}
        assert found.counts.objects["tables"] == 1
        assert postgres.rows(connection, "SELECT name, setting FROM pg_settings ORDER BY 1") == settings
        # An exclusive lock is to be had at once: nothing waits for the end of the backup.
        execute(database, "SET lock_timeout = '1s'; ALTER TABLE users ADD more text; DROP TABLE later")
        assert postgres.value(connection, "SELECT count(*) FROM users") == 1


def test_what_cannot_be_read_leaves_the_snapshot_usable(database: Credentials, postgres_server) -> None:
    execute(database, "CREATE TABLE mine (id int)")
    with closing(postgres_server.connect(database.database)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.foreign_one (id int)")
        connection.commit()
    with snapshots.snapshot(database) as (connection, _):
        with pytest.raises(EngineBackupError, match="foreign_one"):
            inventory.read(connection, ENGINE)
        assert postgres.value(connection, "SELECT count(*) FROM mine") == 0


def test_nobody_elses_code_runs(database: Credentials) -> None:
    """Policies, views in the place of tables, casts, operators and functions of the database's own."""
    execute(
        database,
        """
        CREATE TABLE traces (what text);
        CREATE FUNCTION trace(what text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
            AS 'BEGIN RAISE EXCEPTION ''%'', what; END';
        CREATE TYPE odd AS ENUM ('x');
        CREATE FUNCTION shown(odd) RETURNS text LANGUAGE sql AS 'SELECT trace(''cast'')::text';
        CREATE CAST (odd AS text) WITH FUNCTION shown(odd);
        CREATE FUNCTION count() RETURNS bigint LANGUAGE sql AS 'SELECT trace(''count'')::int::bigint';
        CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT trace(''operator'')';
        CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
        CREATE TABLE network (id odd, name text);
        INSERT INTO network VALUES ('x', 'n');
        CREATE VIEW users AS SELECT trace('view') AS user_id, ''::text AS username;
        CREATE TABLE vm_static (vm_guid uuid, vm_name text, entity_type text);
        INSERT INTO vm_static VALUES (NULL, 'v', 'VM');
        CREATE TABLE cluster (cluster_id text, name odd);
        CREATE TABLE vds_groups (vds_group_id text, name text);
        INSERT INTO vds_groups VALUES ('1', 'old');
        """,
    )
    found = counted(database).inventory
    assert {name: kind.count for name, kind in found.kinds.items()} == {
        "vms": 1,
        "templates": 0,
        "clusters": 1,
    }
    execute(
        database,
        "ALTER TABLE traces ENABLE ROW LEVEL SECURITY; ALTER TABLE traces FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY p ON traces USING (trace('policy')); INSERT INTO vds_groups VALUES ('2', 'x')",
    )
    with pytest.raises(EngineBackupError, match="row-level security"):
        counted(database)


def test_the_clusters_of_old_releases(database: Credentials) -> None:
    one, two = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2))
    execute(
        database,
        "CREATE TABLE vds_groups (vds_group_id uuid, name text);"
        f"INSERT INTO vds_groups VALUES ('{two}', 'b'), ('{one}', NULL)",
    )
    found = counted(database).inventory.kinds
    assert list(found) == ["clusters"]
    assert found["clusters"].objects == (NamedObject(one, ""), NamedObject(two, "b"))
    lines = "".join(json.dumps(row) + "\n" for row in ([one, ""], [two, "b"]))
    assert found["clusters"].digest == sha256(lines.encode()).hexdigest()


def test_many_objects_are_not_all_named(database: Credentials) -> None:
    execute(
        database,
        "CREATE TABLE vds_static (vds_id int, vds_name varchar);"
        "INSERT INTO vds_static SELECT n, 'host' || n FROM generate_series(1, 10000) n",
    )
    hosts = counted(database).inventory.kinds["hosts"]
    assert (hosts.count, len(hosts.objects), hosts.complete) == (10000, MOST_OBJECTS, False)
    execute(database, "UPDATE vds_static SET vds_name = 'other' WHERE vds_id = 9999")
    changed = counted(database).inventory.kinds["hosts"]
    assert changed.objects == hosts.objects
    assert changed.digest != hosts.digest


def test_names_are_made_printable_and_cut(database: Credentials) -> None:
    execute(
        database,
        "CREATE TABLE storage_pool (id text, name text);"
        "INSERT INTO storage_pool VALUES ('1', E'a\x1b[2J\nb'), ('2', repeat('x', 100000))",
    )
    first, second = counted(database).inventory.kinds["data_centers"].objects
    assert first.name == "a\\x1b[2J\\nb".replace("\\n", "\\x0a")
    assert len(second.name) < 300


@pytest.mark.parametrize(
    ("column", "index", "found"),
    [
        ("timestamptz", "", None),
        ("timestamptz", "CREATE INDEX ON audit_log (log_time)", "2026-05-06T05:08:09+00:00"),
        ("timestamptz", "CREATE INDEX ON audit_log (log_time) WHERE id > 1", None),
        ("timestamptz", "CREATE INDEX ON audit_log (id, log_time)", None),
        ("timestamptz", "CREATE INDEX ON audit_log USING hash (log_time)", None),
        ("timestamp", "CREATE INDEX ON audit_log (log_time)", None),
        ("text", "CREATE INDEX ON audit_log (log_time)", None),
    ],
)
def test_the_last_event_is_looked_up_in_an_index(database: Credentials, column, index, found) -> None:
    execute(
        database,
        f"CREATE TABLE audit_log (id int, log_time {column}); {index};"
        "INSERT INTO audit_log VALUES (1, '2026-05-06 07:08:09+02'), (2, '2025-01-01 00:00:00Z')",
    )
    assert counted(database).inventory.moments.get("last_event_at") == found


@pytest.mark.parametrize("time", ["infinity", "-infinity", "11111-01-01 00:00:00Z"])
def test_times_beyond_all_calendars_are_none(database: Credentials, time: str) -> None:
    execute(database, "CREATE TABLE audit_log (log_time timestamptz); CREATE INDEX ON audit_log (log_time)")
    execute(database, f"INSERT INTO audit_log VALUES ('{time}')")
    assert counted(database).inventory.moments == {}


def test_the_sample_engine(original: Original) -> None:
    found = {
        name: inventory.observe(login, BY_NAME[name]) for name, login in original.sample.credentials.items()
    }
    size = original.sample.size
    kinds = found["engine"].inventory.kinds
    assert (kinds["vms"].count, kinds["hosts"].count, kinds["disks"].count) == (
        size.vms,
        size.hosts,
        size.disks,
    )
    assert (kinds["templates"].objects[0].name, kinds["users"].count) == ("Blank", size.users)
    assert all(kind.complete and len(kind.objects) == kind.count for kind in kinds.values())
    assert set(found["dwh"].inventory.moments) == {"dwh_last_sample_at"}
    assert found["keycloak"].inventory == Inventory()


@pytest.mark.parametrize("name", [n for n in golden.NAMES if "engine" in golden.facts(n)["databases"]])
def test_golden_archives(name: str, tmp_path: Path, postgres_server: ScratchServer) -> None:
    """Databases of all generations that were restored: rows as their JSON says."""
    facts = golden.facts(name)
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive(name), machine.archive)
    owner = "inventory_" + name.replace(".", "_").replace("-", "_")
    logins = {"engine": login(postgres_server, owner, owner)}
    machine.engine_backup(
        "restore", "--scope=db", "--no-restore-permissions", "--keep-temporary-data",
        f"--product-version={facts['version'].strip()}", *change_options(logins, tmp_path),
    ).check()  # fmt: skip
    found = inventory.observe(logins["engine"], ENGINE)
    tables = facts["databases"]["engine"]["tables"]
    assert found.counts.rows == {
        f"public.{table}".replace('"', ""): row["rows"] for table, row in tables.items()
    }
    kinds = found.inventory.kinds
    assert kinds["hosts"].count == tables["vds_static"]["rows"]
    assert kinds["vms"].count + kinds["templates"].count == tables["vm_static"]["rows"]
    assert "users" not in kinds
    assert inventory.observe(logins["engine"], DWH).inventory == Inventory()


def test_a_manifest_counts_what_is_there(original: Original) -> None:
    """Of all tables, but for those that a backup itself writes its events to."""
    with tarfile.open(original.machine.archive) as opened:
        stream = opened.extractfile("./manifest.json")
        assert stream is not None
        manifest = json.load(stream)
    members = {member.get("component"): member for member in manifest["members"]}
    for name, database in original.databases.items():
        rows = {table: count for table, (count, _) in database.tables.items()}
        counted = members[name]["row_counts"]
        written = set(BACKUP_EVENTS) if name == "engine" else set()
        assert {t: n for t, n in counted.items() if t not in written} == {
            t: n for t, n in rows.items() if t not in written
        }
        assert members[name]["object_counts"]["tables"] == members[name]["tables"] == len(rows)
        found = inventory.observe(original.sample.credentials[name], BY_NAME[name])
        assert members[name]["object_counts"] == found.counts.objects
        for kind, objects in found.inventory.kinds.items():
            assert manifest["inventory"][kind] == inventory_document.kind_to_json(objects)


def test_a_backup_goes_on_where_nothing_can_be_counted(postgres_server: ScratchServer) -> None:
    """Texts of a database that knows no encoding are bytes that need not be UTF-8."""
    credentials = login(postgres_server, "no_encoding", "no_encoding_template")
    with closing(postgres_server.connect("postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE DATABASE no_encoding TEMPLATE template0 OWNER no_encoding"
                " ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
            )
    credentials = replace(credentials, database="no_encoding")
    execute(credentials, "CREATE TABLE network AS SELECT 1 AS id, E'\\377\\376'::text AS name")
    warnings: list[str] = []
    with run_snapshots.held([(ENGINE, credentials)]) as held:
        with run_snapshots.described(held.values(), warnings.append) as described:
            found = described["engine"].result()
        assert found.inventory == Inventory()
        assert found.fields["row_counts"] == found.fields["object_counts"] == {}
        assert found.fields["tables"] == 1
        (warning,) = warnings
        assert "'no_encoding'" in warning
        assert (
            postgres.value(held["engine"].connection, "SELECT pg_catalog.count(*) FROM public.network") == 1
        )
