"""postgresql.conf: what is read, what the product needs of it, and the smallest edit that gives it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.server import SettingElsewhere
from engine_backup.plan.postgresql_conf import lines_of, number, quoted, settings
from engine_backup.plan.server_settings import (
    NO_LOCALE,
    REQUIREMENTS,
    Conditions,
    Edit,
    edited,
    elsewhere_in,
)

LOCALES = ("C", "POSIX", "en_US.utf8")
CONDITIONS = Conditions(major=15, locales=LOCALES)
GOOD = "".join(f"{requirement.line}\n" for requirement in REQUIREMENTS)


def edit(text: str, conditions: Conditions = CONDITIONS, **elsewhere: SettingElsewhere) -> Edit:
    return edited(text, elsewhere, conditions)


def without(*names: str) -> str:
    """A file in which all is well but for settings that it lacks."""
    return "".join(row for row in GOOD.splitlines(True) if row.split()[0] not in names)


def with_setting(line: str) -> str:
    """A file in which all is well but for one line."""
    return f"{without(re.split(r'[ =]', line.strip().lower())[0])}{line}\n"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("work_mem = 64MB", "64MB"),
        ("work_mem 64MB", "64MB"),
        ("work_mem=64MB# large", "64MB"),
        ("\t WORK_MEM \t= '64 MB' # large\r", "64 MB"),
        ("work_mem'64MB'", "64MB"),
        ("work_mem = -1", "-1"),
        ("work_mem = 0x4000kB", "0x4000kB"),
        ("work_mem = .5", ".5"),
        ("work_mem = 1.5e3", "1.5e3"),
        (r"work_mem = 'it''s \'\101\t\\'", "it's 'A\t\\"),
        ("sort_mem = 4", "4"),
        ("work_mem = a.b.c", "a.b.c"),
        ("work_mem = a.b-c", "a.b-c"),
        ("work_mem = en_US.UTF-8", "en_US.UTF-8"),
    ],
)
def test_lines_are_read_as_the_server_reads_them(line, value):
    assert settings(line) == {"work_mem": value}
    assert not lines_of(line)[0].broken


@pytest.mark.parametrize(
    "line",
    [
        "work_mem",
        "work_mem =",
        "work_mem = 1 2",
        "work_mem == 1",
        "work_mem = 1e3",
        "work_mem = 1.5GB",
        "work_mem = 'open",
        "work-mem = 1",
        "work_mem = *",
        "work_mem = a.b",
        "1work_mem = 1",
        "a.b.c = 1",
        "work_mem = '1'2",
        "work_mem = 1\x0b",
    ],
)
def test_broken_lines_are_told_by_number(line):
    found = edit(f"# a comment\n{line}\n")
    assert found.broken == (2,)
    assert settings(line) == {}


@pytest.mark.parametrize("line", ["", " \t\r", "# work_mem = 1", "#work_mem", "a.b = 1", "include 'x'"])
def test_other_lines_are_not_broken(line):
    assert not edit(f"{line}\n{GOOD}").broken


def test_of_several_lines_the_last_wins_and_includes_are_told():
    text = "Max_Connections = 1\ninclude_if_exists 'other.conf'\nmax_connections 2\nINCLUDE_DIR = 'conf.d'\n"
    assert settings(text) == {"max_connections": "2"}
    assert edit(text).includes == ("other.conf", "conf.d")


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("64MB", "kB", 65536),
        (" 64 MB ", "kB", 65536),
        ("65536", "kB", 65536),
        ("1TB", "GB", 1024),
        ("1024B", "kB", 1),
        ("0.5GB", "MB", 512),
        ("0x10", "", 16),
        ("0X1e", "", 30),
        ("010", "", 8),
        ("1e2", "", 100),
        ("-1", "kB", -1),
        ("+.5", "", 0.5),
        ("1.5min", "s", 90),
        ("2h", "min", 120),
        ("1d", "h", 24),
        ("1500us", "ms", 1.5),
        ("09", "", None),
        ("64mb", "kB", None),
        ("64MB", "", None),
        ("64MB", "ms", None),
        ("many", "", None),
        ("", "", None),
        ("1 2", "", None),
    ],
)
def test_numbers_and_units(text, unit, amount):
    assert number(text, unit) == amount


def test_what_is_good_stays_as_it_is():
    assert edit(GOOD) == Edit(GOOD)


@pytest.mark.parametrize(
    "line",
    [
        "max_connections = 0x96",
        "max_connections 1000",
        "LISTEN_ADDRESSES = '*'",
        "lc_messages = 'en_US.utf8'",
        "lc_messages = EN_us.UTF-8",
        "autovacuum_vacuum_scale_factor = 1.e-2",
        "autovacuum_vacuum_scale_factor = 0",
        "maintenance_work_mem = 64MB",
        "maintenance_work_mem = '1 GB'",
        "work_mem = 8MB",
        "password_encryption = 'scram-sha-256'",
    ],
)
def test_good_in_another_spelling(line):
    text = with_setting(line)
    assert edit(text) == Edit(text)


@pytest.mark.parametrize(
    ("line", "old"),
    [
        ("max_connections = 149", "149"),
        ("max_connections = many", "many"),
        ("listen_addresses = 'localhost'", "localhost"),
        ("lc_messages = C", "C"),
        ("autovacuum_analyze_scale_factor = 0.1", "0.1"),
        ("maintenance_work_mem = 64kB", "64kB"),
        ("work_mem = 64mb", "64mb"),
        ("log_line_prefix = '%m'", "%m"),
        ("log_timezone = 'Etc/UTC'", "Etc/UTC"),
        ("password_encryption = md5", "md5"),
    ],
)
def test_a_wrong_line_becomes_a_comment_and_the_right_one_follows(line, old):
    found = edit(with_setting(line + " # why"))
    assert [(change.name, change.old) for change in found.changes] == [(line.split()[0], old)]
    first, second = found.text.splitlines()[-2:]
    assert first == f"# {line} # why"
    assert second in GOOD.splitlines()


def test_placement_of_what_is_only_commented_and_of_what_is_missing():
    rest = without("max_connections", "work_mem") + "# max_connections is a number\n"
    found = edit(f"#max_connections = 100 # restart\n# max_connections = 50\n{rest}")
    assert found.text == (
        "#max_connections = 100 # restart\nmax_connections = 150\n# max_connections = 50\n"
        f"{rest}work_mem = 8192\n"
    )
    assert [change.old for change in found.changes] == [None, None]


def test_duplicates():
    good_last = GOOD + "max_connections = 1\nmax_connections = 500\n"
    assert edit(good_last).text == good_last
    rest = without("max_connections")
    found = edit(f"max_connections = 1\nmax_connections = 200\nmax_connections = 2\n{rest}")
    assert found.text == (
        "# max_connections = 1\nmax_connections = 200\n# max_connections = 2\nmax_connections = 150\n" + rest
    )


def test_former_names_count():
    found = edit(without("work_mem") + "sort_mem = 4MB\n")
    assert found.text.endswith("# sort_mem = 4MB\nwork_mem = 8192\n")
    assert found.changes[0].old == "4MB"


def test_line_ends_are_kept_and_given():
    found = edit(with_setting("max_connections = 5").replace("\n", "\r\n"))
    assert found.text.count("\n") == found.text.count("\r\n")
    assert found.text.endswith("# max_connections = 5\r\nmax_connections = 150\r\n")
    assert edit(GOOD + "max_connections = 5").text.endswith(
        "\n# max_connections = 5\nmax_connections = 150\n"
    )
    assert settings(edit("").text) == settings(GOOD)


def test_which_changes_need_a_restart():
    def restarting(major: int) -> set[str]:
        changes = edit("", Conditions(major, locales=LOCALES)).changes
        return {change.name for change in changes if change.restart}

    assert restarting(17) == {"max_connections", "listen_addresses", "autovacuum_max_workers"}
    assert restarting(18) == {"max_connections", "listen_addresses"}
    assert not edit(with_setting("work_mem = 1MB")).restart
    assert edit(with_setting("max_connections = 1")).restart


def test_a_missing_locale_is_noted_and_left_alone():
    text = with_setting("lc_messages = 'C'")
    assert edit(text, Conditions(15, locales=("C.utf8",))) == Edit(text, notes=(NO_LOCALE,))
    assert edit(GOOD, Conditions(15, locales=())) == Edit(GOOD)


def test_passwords_as_md5_are_left_alone():
    text = with_setting("password_encryption = md5")
    assert edit(text, Conditions(13, method="md5", locales=LOCALES)) == Edit(text)


def test_what_alter_system_has_set_is_reported():
    text = with_setting("max_connections = 5")
    place = "/data/postgresql.auto.conf"
    wrong = elsewhere_in("# Do not edit\nmax_connections = '20'\n", place)
    found = edited(text, wrong, CONDITIONS)
    assert (found.text, found.changes) == (text, ())
    assert [(o.name, o.value, o.new, o.place) for o in found.overridden] == [
        ("max_connections", "20", "150", place)
    ]
    assert edited(text, elsewhere_in("max_connections = '200'", place), CONDITIONS) == Edit(text)


def test_an_included_file_is_outdone_at_the_end():
    text = f"max_connections = 200\ninclude_dir 'conf.d'\n{without('max_connections')}"
    included = SettingElsewhere("20", "/etc/conf.d/a.conf line 1", final=False)
    found = edit(text, max_connections=included)
    assert found.text == text + "max_connections = 150\n"
    assert found.changes[0].old == "20"


@given(st.text(st.sampled_from("#'\\ =\t\r\n*.-_1kBe") | st.characters(codec="utf-8"), max_size=80))
def test_every_text_comes_back_whole(text):
    assert "".join(line.text for line in lines_of(text)) == text


@given(st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"])))
def test_quoted_values_come_back(value):
    assert settings(f"a = {quoted(value)} # rest") == {"a": value}


names = st.sampled_from([requirement.name for requirement in REQUIREMENTS] + ["port"])
values = st.sampled_from(["0", "1", "6", "150", "64MB", "'*'", "'%m '", "md5", "en_US.utf8", "UTC", "1GB"])
setting_lines = st.builds(
    "{}{}{}{}{}".format, st.sampled_from(["", "#", "# "]), names, st.sampled_from([" ", " = "]), values,
    st.sampled_from(["\n", "\r\n", " # why\n"]),
)  # fmt: skip


@given(st.lists(setting_lines | st.just("include 'x'\n"), max_size=30).map("".join))
def test_an_edit_gives_what_is_needed_and_a_second_one_nothing(text):
    found = edit(text)
    result = settings(found.text)
    assert all(requirement.accepts(result[requirement.name]) for requirement in REQUIREMENTS)
    assert edit(found.text).text == found.text
    kept = [line.removeprefix("# ") for line in found.text.splitlines()]
    assert all(line.removeprefix("# ") in kept for line in text.splitlines())
