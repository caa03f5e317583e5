"""Rows of COPY blocks, and the machine of a hosted engine among them."""

from __future__ import annotations

import pytest

from engine_backup.plan.copy_rows import copied_table, rows
from engine_backup.plan.engine_machine import has_engine_machine, is_machines_table

MACHINES = 'COPY public.vm_static (vm_guid, "vm_name", origin) FROM stdin;'


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        (MACHINES, "vm_static"),
        ("COPY vm_static (origin) FROM stdin;", "vm_static"),
        ('COPY "public"."vm_static" (origin) FROM stdin;', "vm_static"),
        ("COPY public.vm_static_more (origin) FROM stdin;", "vm_static_more"),
        ("SELECT 1;", None),
    ],
)
def test_tables(statement, table):
    assert copied_table(statement) == table
    assert is_machines_table(statement) is (table == "vm_static")


def test_rows():
    data = b"1\tone\\ttab\\\\\t\\N\n\n2\t\xff\t6\n"
    assert list(rows(MACHINES, data)) == [
        {"vm_guid": "1", "vm_name": "one\ttab\\", "origin": None},
        {"vm_guid": "2", "vm_name": "\udcff", "origin": "6"},
    ]
    assert list(rows("SELECT 1;", data)) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", False),
        (b"6\t6\t3\n", False),
        (b"1\tx\t3\n2\ty\t6\n", True),
        (b"1\tx\t\\N\n", False),
        (b"6\n", False),
    ],
)
def test_the_machine_of_a_hosted_engine(data, expected):
    assert has_engine_machine(MACHINES, data) is expected
