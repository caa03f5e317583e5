"""engine-setup's answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.drivers.otopi_answers import Answers, load, parse
from engine_backup.model.errors import EngineBackupError


def answers(*lines: str) -> Answers:
    return Answers(parse("\n".join(["[environment:default]", *lines]), "f"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("none:None", None),
        ("bool:True", True),
        ("bool:False", False),
        ("bool:f", False),
        ("bool:F", False),
        ("bool:false", False),
        ("bool:0", True),
        ("bool:", True),
        ("bool:True$/d", True),
        ("int:5432", 5432),
        ("int:-1", -1),
        ("str:", ""),
        ("str:a:b = c", "a:b = c"),
        ("multi-str:", ()),
        ("multi-str:one", ("one",)),
    ],
)
def test_types(text: str, value: object) -> None:
    found = answers(f"A/b={text}").values["A/b"]
    assert found == value
    assert type(found) is type(value)


def test_continuation_lines() -> None:
    found = answers("A/list=multi-str:", "  one", "\ttwo words", "", "A/text=str:x", "  y", "A/end=int:1")
    assert found.values == {"A/list": ("one", "two words"), "A/text": "x\ny", "A/end": 1}


def test_keys_are_case_sensitive_and_other_sections_are_no_answers() -> None:
    text = "# c\n[environment:init]\nA/b=x\n[environment:default]\n; c\nA/B = bool:True\n[other]\nA/c=x\n"
    assert parse(text, "f") == {"A/B": True}


def test_boolean_is_none_for_what_is_no_yes_or_no() -> None:
    found = answers("A/yes=bool:True", "A/no=bool:False", "A/one=int:1", "A/nothing=none:None")
    keys = ("A/yes", "A/no", "A/one", "A/nothing", "A/missing", "a/yes")
    assert [found.boolean(key) for key in keys] == [True, False, None, None, None, None]
    assert found.text("A/yes") is None
    assert "A/one" in found
    assert "A/missing" not in found


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("A/secret", 2),
        ("A/b=secret", 2),
        ("A/b=odd:secret", 2),
        ("A/b=int:secret", 2),
        ("[broken", 2),
        ("=bool:secret", 2),
    ],
)
def test_an_error_names_file_and_line_and_no_answer(line: str, number: int) -> None:
    with pytest.raises(EngineBackupError) as caught:
        parse(f"[environment:default]\n{line}", "/etc/f.conf")
    assert caught.value.message.startswith(f"/etc/f.conf:{number}: ")
    assert "secret" not in caught.value.message


def test_a_line_before_any_section_is_an_error() -> None:
    with pytest.raises(EngineBackupError, match=r"^f:1: "):
        parse("A/b=bool:True", "f")


def test_files_are_merged_in_order_and_both_sources_agree(tmp_path: Path) -> None:
    head = "[environment:default]\n"
    files = {
        "/etc/ovirt-engine-setup.conf": f"{head}A/one=int:1\nA/two=int:1\nA/three=int:1\n",
        "/etc/ovirt-engine-setup.conf.d/10-x.conf": f"{head}A/two=int:2\nA/three=int:2\n",
        "/etc/ovirt-engine-setup.conf.d/20-x.conf": f"{head}A/three=int:3\n",
        "/etc/ovirt-engine-setup.conf.d/30-x.conf.old": "no answers\n",
        "/etc/ovirt-engine-setup.conf.d/deep/40-x.conf": "no answers\n",
    }
    for path, text in files.items():
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    expected = {"A/one": 1, "A/two": 2, "A/three": 3}
    assert load(tmp_path).values == expected
    assert load({path: text.encode() for path, text in files.items()}).values == expected
    assert load({}).values == {}


def test_answers_do_not_print_themselves() -> None:
    assert "hunter2" not in repr(answers("OVESETUP_DB/password=str:hunter2"))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_our_own_error(text: str) -> None:
    try:
        parse(f"[environment:default]\n{text}", "f")
    except EngineBackupError as error:
        assert error.message.startswith("f:")
