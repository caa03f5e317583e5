from __future__ import annotations

import pytest

from engine_backup.plan.legacy_domain import is_options_table, legacy_domains

NEW = "COPY public.vdc_options (option_id, option_name, option_value, version, default_value) FROM stdin;"
OLD = "COPY vdc_options (option_id, option_name, option_value, version) FROM stdin;"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (NEW, True),
        (OLD, True),
        ('COPY "public"."vdc_options" ("option_name") FROM stdin;', True),
        ("COPY public.vdc_options_history (a) FROM stdin;", False),
        ("COPY public.audit_log (a) FROM stdin;", False),
    ],
)
def test_which_table(statement: str, found: bool):
    assert is_options_table(statement) is found


@pytest.mark.parametrize(
    ("statement", "data", "domains"),
    [
        (NEW, b"1\tDomainName\t\tgeneral\t\n", []),
        (NEW, b"1\tDomainName\t\\N\tgeneral\t\\N\n", []),
        (NEW, b"1\tDomainName\tlab.example\tgeneral\t\\N\n", ["lab.example"]),
        (OLD, b"1\tDomainName\ta.example,b.example\tgeneral\n", ["a.example,b.example"]),
        (NEW, b"1\tOther\tDomainName\tgeneral\t\\N\n", []),
        (NEW, b"1\tDomainName\ttab\\there\tgeneral\t\\N\n", ["tab\there"]),
        (NEW, b"", []),
    ],
)
def test_values_are_read_by_column(statement: str, data: bytes, domains: list[str]):
    assert legacy_domains(statement, data) == domains
