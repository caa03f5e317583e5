"""Which answers engine-setup gets, over what backups hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.drivers import otopi_answers
from engine_backup.model.archive import DumpMember
from engine_backup.model.components import BY_NAME, COMPONENTS
from engine_backup.model.engine_setup import ArchivedSetup, RunEngineSetup, SetupFacts
from engine_backup.model.facts import ArchiveFacts, DumpFacts, HostFacts, RestoreFacts
from engine_backup.model.requests import RestoreRequest, Surroundings
from engine_backup.plan import engine_setup
from engine_backup.plan.closing import closing_notes

REQUEST = RestoreRequest(
    Surroundings(Path("/"), Path("/log"), Path("/tmp")), Path("/a.backup"), run_engine_setup=True
)
ARCHIVE = ArchiveFacts("D", "4.5.7", "rhel9", "engine.example", True, False, (), {}, {})
MACHINE = SetupFacts("/usr/bin/engine-setup", firewalld=True)
UPDATE, MANAGER = "OVESETUP_CONFIG/updateFirewall", "OVESETUP_CONFIG/firewallManager"
HE = "OVESETUP_CONFIG/continueSetupOnHEVM"


def planned(archive: ArchiveFacts, machine: SetupFacts = MACHINE, with_files: bool = True) -> RunEngineSetup:
    facts = RestoreFacts(HostFacts("h", "rhel9", "4.5.7"), archive, (), engine_setup=machine)
    (step,) = engine_setup.engine_setup(REQUEST, facts, with_files)
    return step


def answers(archive: ArchiveFacts, machine: SetupFacts = MACHINE, with_files: bool = True) -> dict:
    return {answer.key: answer.value for answer in planned(archive, machine, with_files).answers}


def dump(name: str) -> DumpFacts:
    return DumpFacts(DumpMember(name, BY_NAME[name].member, "custom", "", 0, 0))


def told(firewalld: bool = False, **values) -> ArchiveFacts:
    keys = {"update": UPDATE, "manager": MANAGER, **{c.name: c.enabled_key for c in COMPONENTS}}
    return replace(ARCHIVE, setup=ArchivedSetup({keys[k]: v for k, v in values.items()}, firewalld))


def test_what_holds_for_every_restore():
    found = answers(ARCHIVE, with_files=False)
    assert found == {
        "OVESETUP_DIALOG/confirmSettings": True,
        "OVESETUP_CORE/engineStop": True,
        "OVESETUP_PKI/renew": False,
        "OVESETUP_DB/engineVacuumFull": False,
    }
    assert found.items() <= answers(ARCHIVE).items()


@pytest.mark.parametrize(
    ("archive", "machine", "update", "manager"),
    [
        (told(update=True, manager="firewalld"), MACHINE, True, "firewalld"),
        (told(manager="firewalld"), MACHINE, True, "firewalld"),
        (told(firewalld=True), MACHINE, True, "firewalld"),
        (told(), MACHINE, False, None),
        (told(manager="iptables"), MACHINE, False, None),
        (told(manager="iptables", firewalld=True), MACHINE, False, None),
        (told(update=False, manager="firewalld", firewalld=True), MACHINE, False, None),
        (told(update=True, manager="firewalld"), replace(MACHINE, firewalld=False), False, None),
    ],
)
def test_the_firewall(archive, machine, update, manager):
    found = answers(archive, machine)
    assert (found[UPDATE], found.get(MANAGER)) == (update, manager)


WITHOUT_SUCCESSION = [
    c for c in COMPONENTS if c.enabled_key and c.written and c.name not in ("cinderlib", "managedblock")
]


@pytest.mark.parametrize("component", WITHOUT_SUCCESSION, ids=lambda c: c.name)
def test_a_component_is_as_in_the_backup(component):
    key = component.enabled_key
    assert answers(told(**{component.name: True}))[key] is True
    assert (
        answers(replace(told(**{component.name: False}), dumps={component.name: dump(component.name)}))[key]
        is False
    )
    assert answers(replace(ARCHIVE, dumps={component.name: dump(component.name)}))[key] is True
    assert answers(ARCHIVE)[key] is False


def test_managed_block_may_follow_cinderlib():
    """Saying no to the later one would keep a release that has it from taking over the earlier one."""
    found = answers(told(cinderlib=True))
    assert found[BY_NAME["cinderlib"].enabled_key] is True
    assert BY_NAME["managedblock"].enabled_key not in found
    assert answers(told(managedblock=True))[BY_NAME["managedblock"].enabled_key] is True


def test_reports_is_not_named_to_a_product_without_it():
    assert BY_NAME["reports"].enabled_key not in answers(told(reports=True))


def test_a_hosted_engine_goes_on():
    assert answers(replace(ARCHIVE, hosted_engine=True))[HE] is True
    assert HE not in answers(ARCHIVE)


@given(st.text() | st.from_regex(r"[a-z.\n]{1,20}", fullmatch=True))
def test_no_name_of_an_archive_adds_another_answer(name: str):
    step = planned(replace(ARCHIVE, fqdn=name))
    text = "\n".join(("[environment:default]", *map(str, step.answers)))
    read = otopi_answers.parse(text, "answers")
    assert read == {answer.key: answer.value for answer in step.answers}


def test_every_answer_has_a_reason():
    for answer in planned(told(update=True, manager="firewalld", engine=True)).answers:
        assert answer.reason


def test_nothing_is_run_that_was_not_asked_for():
    facts = RestoreFacts(HostFacts("h", "rhel9", "4.5.7"), ARCHIVE, (), engine_setup=MACHINE)
    asked_not = replace(REQUEST, run_engine_setup=False)
    assert engine_setup.engine_setup(asked_not, facts, True) == ()
    missing = replace(facts, engine_setup=SetupFacts())
    assert engine_setup.problems(asked_not, missing) == ()
    assert len(engine_setup.problems(REQUEST, missing)) == 1
    assert engine_setup.problems(REQUEST, facts) == ()


def test_what_a_rollback_does_not_take_back_is_said():
    assert len(engine_setup.warnings(replace(REQUEST, keep_undo=True))) == 1
    assert engine_setup.warnings(REQUEST) == ()
    assert engine_setup.warnings(replace(REQUEST, keep_undo=True, run_engine_setup=False)) == ()


@pytest.mark.parametrize(
    ("name", "word"),
    [
        (b"etc/firewalld/zones/public.xml", "firewall-cmd"),
        (b"etc/sysconfig/ip6tables", "iptables"),
        (b"etc/nftables/main.nft", "nftables"),
        (b"etc/exports.d/iso.exports", "exportfs"),
        (b"etc/yum/pluginconf.d/versionlock.list", "versionlock"),
        (b"etc/dnf/plugins/versionlock.list", "versionlock"),
    ],
)
def test_what_is_not_in_force(name: bytes, word: str):
    (note,) = closing_notes([b"etc/ovirt-engine", name])
    assert word in note


def test_nothing_is_said_of_other_files():
    assert closing_notes([b"etc/ovirt-engine/engine.conf.d/10-setup-database.conf", b"etc/exports"]) == ()
