"""Which databases are made, and how, decided from facts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from engine_backup.model.archive import DumpMember
from engine_backup.model.components import BY_NAME, DATABASES
from engine_backup.model.errors import Problem
from engine_backup.model.facts import (
    ArchiveFacts,
    Credentials,
    DumpFacts,
    HostFacts,
    Origin,
    RestoreFacts,
    ServerFacts,
    TargetDatabase,
)
from engine_backup.model.provisioning_steps import (
    AllowAccess,
    AllowAdministrator,
    ConfigureServer,
    CreateExtraRoles,
    GrantReading,
    InitialiseServer,
    LeaveAlternatives,
    LoadGrants,
    ProvisionDatabase,
    ProvisionRole,
    RenameDatabases,
    StartServer,
)
from engine_backup.model.requests import RestoreRequest, Surroundings
from engine_backup.model.secret import Secret
from engine_backup.model.server import ClusterFacts, DatabaseOnServer, RoleState, ServerState
from engine_backup.plan.file_selection import Selection
from engine_backup.plan.provisioning import plan_provisioning
from engine_backup.plan.restore import plan_restore

WHEN = datetime(2026, 11, 22, 3, 0, 0)
CLUSTER = ClusterFacts(
    Path("/var/lib/pgsql/data"), "postgres", 26, 26, 16, 100, 5432, Path("/run/postgresql"), True
)
STOPPED = replace(CLUSTER, pid=0, port=0, socket_directory=None, ready=False)
ABSENT = replace(STOPPED, major=0)
STATE = ServerState(
    version=160004,
    administrator="postgres",
    databases={},
    roles={},
    available_extensions=frozenset({"uuid-ossp"}),
    trusted_extensions=frozenset({"uuid-ossp"}),
    locales=frozenset(),
    password_encryption="scram-sha-256",
    is_superuser=True,
    may_create_database=True,
    may_create_role=True,
)
HBA = "local all all peer\nhost all all 127.0.0.1/32 ident\n"
REACHED = ServerFacts("localhost", 5432, CLUSTER, STATE, None, "max_connections = 100\n", HBA)
ENGINE = BY_NAME["engine"]
PARTS = [component for component in DATABASES if component.written]


def login(component, host: str = "localhost") -> Credentials:
    return Credentials(host, 5432, component.default_user, Secret("pw"), component.default_database)


def target(component, **changes) -> TargetDatabase:
    error = Problem("no such database")
    return replace(TargetDatabase(component, login(component), Origin.ARCHIVE, error=error), **changes)


def dump(component, **changes) -> DumpFacts:
    member = DumpMember(component.name, component.member, "custom", "", 100, 0)
    return DumpFacts(member, extensions=("uuid-ossp",), programs_major=16, **changes)


def facts(targets, server=REACHED, dumps=None, readers=None, **changes) -> RestoreFacts:
    archive = ArchiveFacts(
        "D", "4.5.7", "rhel9", "engine.lab.example", True, False, (),
        {t.component.name: dump(t.component) for t in targets} | (dumps or {}),
        {}, readers or {},
    )  # fmt: skip
    servers = {t.component.name: server for t in targets} if server else {}
    found = RestoreFacts(HostFacts("engine.lab.example", "rhel9", "4.5.7"), archive, tuple(targets), servers)
    return replace(found, **changes)


def request(**changes) -> RestoreRequest:
    return RestoreRequest(Surroundings(Path("/"), Path("/l"), Path("/tmp")), Path("/f"), **changes)


def kinds(steps) -> list[type]:
    return [type(step) for step in steps]


def on_server(component, objects: int = 0, **more) -> dict:
    name = component.default_database
    return {name: DatabaseOnServer(name, component.default_user, "UTF8", 1, objects, 0, "C", **more)}


@pytest.mark.parametrize("component", PARTS, ids=lambda c: c.name)
class TestOne:
    def test_asked_for_by_its_own_option(self, component):
        others = [target(c) for c in PARTS]
        made = plan_provisioning(request(provision=frozenset({component.name})), facts(others), WHEN)
        assert made.names == {component.name}

    def test_made_on_its_own_where_there_is_none(self, component):
        made = plan_provisioning(request(), facts([target(component)]), WHEN)
        assert made.names == {component.name}
        assert kinds(made.before) == [ConfigureServer, ProvisionRole, ProvisionDatabase, AllowAccess]
        assert made.loads[component.name].database.startswith(f"{component.default_database}_restoring_")
        assert RenameDatabases in kinds(made.after)

    def test_not_where_it_exists(self, component):
        server = replace(REACHED, state=replace(STATE, databases=on_server(component)))
        assert plan_provisioning(request(), facts([target(component)], server), WHEN).names == frozenset()

    def test_not_where_it_could_be_logged_in_to(self, component):
        made = plan_provisioning(request(), facts([target(component, error=None)], None), WHEN)
        assert made.names == frozenset()

    def test_not_on_its_own_when_credentials_are_changed(self, component):
        changed = {component.name: login(component)}
        made = plan_provisioning(request(changed=changed), facts([target(component)]), WHEN)
        assert made.names == frozenset()

    def test_not_on_its_own_on_another_host(self, component):
        remote = target(component, credentials=login(component, "db.lab.example"))
        assert plan_provisioning(request(), facts([remote]), WHEN).names == frozenset()

    def test_another_host_needs_an_administrator(self, component):
        remote = target(component, credentials=login(component, "db.lab.example"))
        made = plan_provisioning(request(provision_all=True), facts([remote], None), WHEN)
        assert "Can provision database only in localhost" in made.problems[0].message
        assert "--provision-admin-user" in made.problems[0].hint

    def test_without_a_password_it_cannot_be_made(self, component):
        empty = replace(login(component), password=Secret(""))
        made = plan_provisioning(
            request(provision_all=True), facts([target(component, credentials=empty)]), WHEN
        )
        assert "credentials missing" in made.problems[0].message

    def test_an_empty_one_is_taken_over(self, component):
        state = replace(
            STATE,
            databases=on_server(component),
            roles={component.default_user: RoleState(component.default_user, True, False)},
        )
        made = plan_provisioning(
            request(provision_all=True), facts([target(component)], replace(REACHED, state=state)), WHEN
        )
        assert made.loads[component.name].database == component.default_database
        database = next(step for step in made.before if isinstance(step, ProvisionDatabase))
        assert database.exists
        assert next(step for step in made.before if isinstance(step, ProvisionRole)).exists
        assert RenameDatabases not in kinds(made.after)

    def test_one_in_use_gets_a_neighbour_and_the_restore_ends(self, component):
        server = replace(REACHED, state=replace(STATE, databases=on_server(component, 5)))
        made = plan_provisioning(request(provision_all=True), facts([target(component)], server), WHEN)
        assert kinds(made.before) == [LeaveAlternatives]
        assert made.before[0].databases[0][2] == f"{component.default_database}_20261122030000"

    def test_one_in_use_may_be_refused(self, component):
        server = replace(REACHED, state=replace(STATE, databases=on_server(component, 5)))
        asked = request(provision_all=True, on_existing="refuse")
        made = plan_provisioning(asked, facts([target(component)], server), WHEN)
        assert "is not empty" in made.problems[0].message

    def test_one_in_use_may_be_set_aside(self, component):
        server = replace(REACHED, state=replace(STATE, databases=on_server(component, 5)))
        asked = request(provision_all=True, on_existing="replace")
        made = plan_provisioning(asked, facts([target(component)], server), WHEN)
        renaming = next(step for step in made.after if isinstance(step, RenameDatabases))
        name = component.default_database
        assert renaming.pairs[0] == (name, f"{name}_before_restore_20261122030000")
        assert renaming.pairs[1][1] == name

    def test_a_superuser_is_refused(self, component):
        roles = {component.default_user: RoleState(component.default_user, True, True)}
        server = replace(REACHED, state=replace(STATE, roles=roles))
        made = plan_provisioning(request(provision_all=True), facts([target(component)], server), WHEN)
        assert "is a superuser" in made.problems[0].message


def odd_database(encoding: str = "UTF8", **more) -> dict:
    name = ENGINE.default_database
    return {name: DatabaseOnServer(name, "postgres", encoding, 1, 0, 0, "C", **more)}


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"databases": odd_database("SQL_ASCII")}, "'engine' is in SQL_ASCII, not in UTF8", "drop it"),
        ({"databases": odd_database(problem="full")}, "cannot look into database 'engine': full", "log"),
        ({"read_only": True}, "localhost:5432 takes no changes", "primary"),
        ({"may_create_database": False}, "'postgres' may not create databases and roles", "CREATEDB"),
        ({"may_create_role": False}, "'postgres' may not create databases and roles", "CREATEROLE"),
        ({"available_extensions": frozenset()}, "needs the extension 'uuid-ossp'", "postgresql-contrib"),
        (
            {"is_superuser": False, "trusted_extensions": frozenset()},
            "needs the extension 'uuid-ossp'",
            "superuser",
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_what_a_server_lacks_is_told_before_anything_is_made(changes, message, hint):
    server = replace(REACHED, state=replace(STATE, **changes))
    made = plan_provisioning(request(provision_all=True), facts([target(ENGINE)], server), WHEN)
    assert made.before == ()
    assert [message in problem.message for problem in made.problems] == [True]
    assert hint in made.problems[0].hint


@pytest.mark.parametrize(
    ("cluster", "steps"),
    [
        (ABSENT, [InitialiseServer, StartServer]),
        (STOPPED, [StartServer]),
    ],
)
@pytest.mark.parametrize("asked", [True, False], ids=["asked for", "on its own"])
def test_the_first_gate(cluster, steps, asked):
    server = ServerFacts("localhost", 5432, cluster)
    made = plan_provisioning(request(provision_all=asked), facts([target(c) for c in PARTS], server), WHEN)
    assert kinds(made.gate) == steps
    assert made.before == ()
    assert made.names == {c.name for c in PARTS}


def test_an_administrator_who_is_not_let_in_gets_a_line_for_a_while():
    server = ServerFacts("localhost", 5432, CLUSTER, needs_administrator_line=True)
    made = plan_provisioning(request(provision_all=True), facts([target(BY_NAME["engine"])], server), WHEN)
    assert kinds(made.gate) == [AllowAdministrator]


def test_another_port_than_the_servers_is_a_problem():
    login_elsewhere = replace(login(BY_NAME["engine"]), port=6543)
    found = facts([target(BY_NAME["engine"], credentials=login_elsewhere)])
    made = plan_provisioning(request(provision_all=True), found, WHEN)
    assert "listens on port 5432, not on 6543" in made.problems[0].message


def test_a_broken_access_file_is_a_problem_before_it_is_edited():
    server = replace(REACHED, access_text="locl all all peer\n")
    made = plan_provisioning(request(provision_all=True), facts([target(BY_NAME["engine"])], server), WHEN)
    assert "pg_hba.conf has a line" in made.problems[0].message


class TestRolesOfDumps:
    def made(self, permissions=None, roles=None, **dump_changes):
        engine = BY_NAME["engine"]
        state = replace(STATE, roles={name: RoleState(name, True, False) for name in roles or ()})
        found = facts(
            [target(engine)],
            replace(REACHED, state=state),
            dumps={"engine": dump(engine, **dump_changes)},
        )
        return plan_provisioning(request(provision_all=True, permissions=permissions), found, WHEN)

    def test_they_are_made_with_random_passwords(self):
        step = next(s for s in self.made(grantees=("reader",)).before if isinstance(s, CreateExtraRoles))
        assert [(role.name, role.password) for role in step.roles] == [("reader", None)]

    def test_those_that_exist_stay(self):
        assert CreateExtraRoles not in kinds(self.made(roles=["reader"], grantees=("reader",)).before)

    def test_none_without_permissions(self):
        assert CreateExtraRoles not in kinds(self.made(permissions=False, grantees=("reader",)).before)

    def test_grants_of_others_are_the_administrators_to_run(self):
        assert LoadGrants in kinds(self.made(foreign_grants=True).after)
        assert LoadGrants not in kinds(self.made(permissions=False, foreign_grants=True).after)


def test_grafanas_role_gets_its_own_password_and_reads():
    dwh = BY_NAME["dwh"]
    reader = Credentials("localhost", 5432, "grafana", Secret("gpw"), dwh.default_database)
    found = facts([target(dwh)], dumps={"dwh": dump(dwh, grantees=("grafana",))}, readers={"dwh": reader})
    made = plan_provisioning(request(provision_all=True), found, WHEN)
    roles = next(s for s in made.before if isinstance(s, CreateExtraRoles)).roles
    assert roles[0].reads
    assert roles[0].password == Secret("gpw")
    assert GrantReading in kinds(made.after)
    assert "grafana" in next(s for s in made.after if isinstance(s, AllowAccess)).text


def test_one_role_and_one_renaming_by_whatever_name_of_this_machine():
    dwh, keycloak = BY_NAME["dwh"], BY_NAME["keycloak"]
    targets = [
        target(dwh, credentials=replace(login(dwh, "127.0.0.1"), user="shared")),
        target(keycloak, credentials=replace(login(keycloak, "::1"), user="shared")),
    ]
    made = plan_provisioning(request(provision_all=True), facts(targets), WHEN)
    assert kinds(made.before).count(ProvisionRole) == 1
    assert kinds(made.after).count(RenameDatabases) == 1


def test_passing_names_are_let_in_for_the_load_only():
    made = plan_provisioning(request(provision_all=True), facts([target(c) for c in PARTS]), WHEN)
    first = next(s for s in made.before if isinstance(s, AllowAccess))
    last = next(s for s in made.after if isinstance(s, AllowAccess))
    assert "_restoring_" in first.text
    assert "_restoring_" not in last.text
    for component in PARTS:
        assert component.default_database in last.text


def test_a_component_and_its_successor_in_one_archive_are_told():
    nothing = Selection((), (), (), ())
    both = facts([target(BY_NAME["cinderlib"]), target(BY_NAME["managedblock"])])
    said = "both Cinderlib and Managed Block dumps found in the backup file"
    assert said in plan_restore(request(), both, nothing, WHEN).warnings
    assert said not in plan_restore(request(), facts([target(BY_NAME["cinderlib"])]), nothing, WHEN).warnings
