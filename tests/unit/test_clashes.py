"""Components that get into each other's way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine_backup.model.components import BY_NAME
from engine_backup.model.facts import Credentials, HostFacts, Origin, TargetDatabase
from engine_backup.model.secret import Secret
from engine_backup.plan.clashes import problems, server_of

MACHINE = HostFacts("engine.lab.example", "rhel9", "4.5.7")
LOGIN = Credentials("localhost", 5432, "one", Secret("pw"), "first")


def clash(other: Credentials) -> list[str]:
    targets = (
        TargetDatabase(BY_NAME["engine"], LOGIN, Origin.ARCHIVE),
        TargetDatabase(BY_NAME["dwh"], other, Origin.ARCHIVE),
        TargetDatabase(BY_NAME["keycloak"], None, Origin.MACHINE),
    )
    return [problem.message for problem in problems(targets, MACHINE)]


@pytest.mark.parametrize(
    "other",
    [
        replace(LOGIN, user="two", database="second"),
        replace(LOGIN, database="second"),
        replace(LOGIN, host="db.lab.example"),
        replace(LOGIN, port=5433),
    ],
)
def test_what_goes_together(other):
    assert clash(other) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "/run/postgresql"])
def test_the_same_database_by_any_name_of_this_machine(host):
    [message] = clash(replace(LOGIN, host=host))
    assert "the Engine and DWH databases name the same database" in message


def test_one_role_with_two_passwords():
    [message] = clash(replace(LOGIN, database="second", password=Secret("another")))
    assert "name the same role 'one' with different passwords" in message
    assert "another" not in message


def test_servers_on_other_machines_are_told_by_their_names():
    assert server_of(replace(LOGIN, host="a"), MACHINE) != server_of(replace(LOGIN, host="b"), MACHINE)
