"""Java properties: changed in place, and read back by Java itself where there is one."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine_backup.drivers.credentials_rewriting import rewrite, rewritten_properties
from engine_backup.drivers.java_properties import ENCODING, parse, rewritten
from engine_backup.model.components import REPORTS
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from tests.unit.test_credentials_rewriting import WHEN

OLD = """# connection of the reports server
reportsHome=/var/lib/ovirt-engine-reports
 dbHost : localhost
dbPort=5432\r
! a comment \\
dbPass\\
   word=o\\
   ld
odd\\ key=\\u00e9  kept \\
   as it is
dbPassword=again
last=1"""

CHANGES = [
    ("", {"a": "1"}, "a=1\n"),
    ("a=1", {"a": "2"}, "a=2\n"),
    ("b=1", {"a": "2"}, "b=1\na=2\n"),
    ("b=1\r\n", {"a": "2"}, "b=1\r\na=2\n"),
    ("a 1\nc=3\na:2\n", {"a": "x"}, "a=x\nc=3\n"),
    ("# a=1\n", {"a": "x"}, "# a=1\na=x\n"),
    ("\\u0061=1\n", {"a": "x"}, "a=x\n"),
    ("b=1\\", {"a": "x"}, "b=1\\\n\na=x\n"),
    ("b=1\\\n", {"a": "x"}, "b=1\\\n\na=x\n"),
    ("b=1\\\\\n", {"a": "x"}, "b=1\\\\\na=x\n"),
    ("a=1\\\n\nb=2\n", {"a": "x"}, "a=x\nb=2\n"),
    ("a=1\n", {"a": " b\\c\td\n"}, "a=\\ b\\\\c\\td\\n\n"),
    ("a=1\n", {"a": "#!=: x "}, "a=#!=: x \n"),
    ("a=1\n", {"a": "é😀\0"}, "a=\\u00e9\\ud83d\\ude00\\u0000\n"),
    ("", {"a key=:": "1"}, "a\\ key\\=\\:=1\n"),
]


@pytest.mark.parametrize(("text", "values", "expected"), CHANGES)
def test_a_change_is_written_in_its_place(text: str, values: dict[str, str], expected: str) -> None:
    assert rewritten(text, values, "f") == expected
    assert parse(expected, "f") == {**parse(text, "f"), **values}


def test_all_other_lines_stay() -> None:
    changed = rewritten(OLD, {"dbHost": "db.example", "dbPassword": "new", "js.dbName": "base"}, "f")
    assert changed == (
        "# connection of the reports server\n"
        "reportsHome=/var/lib/ovirt-engine-reports\n"
        "dbHost=db.example\n"
        "dbPort=5432\r\n"
        "! a comment \\\n"
        "dbPassword=new\n"
        "odd\\ key=\\u00e9  kept \\\n"
        "   as it is\n"
        "last=1\n"
        "js.dbName=base\n"
    )


properties = st.lists(st.sampled_from([*"ab=: \t#!\\\n\r\fué", "dbHost", "\\u0061"]), max_size=40).map(
    "".join
)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(text=properties, value=values, name=values.filter(bool))
@example(text="a", value="", name="\x0b")
@example(text="\\\r", value="", name="0")
@example(text="a=1\\\r\n", value="", name="0")
def test_what_was_written_is_read_back_and_nothing_else_changes(text: str, value: str, name: str) -> None:
    try:
        before = parse(text, "f")
    except EngineBackupError:
        with pytest.raises(EngineBackupError, match=r"^f:"):
            rewritten(text, {name: value}, "f")
        return
    changed = rewritten(text, {name: value}, "f")
    assert parse(changed, "f") == {**before, name: value}
    assert rewritten(changed, {name: value}, "f") == changed


READER = """
import java.io.*;
import java.util.*;

public class Reader {
    public static void main(String[] names) throws IOException {
        for (String name : names) {
            Properties found = new Properties();
            try (InputStream in = new FileInputStream(name)) { found.load(in); }
            for (String key : new TreeSet<>(found.stringPropertyNames()))
                System.out.println(hex(key) + " " + hex(found.getProperty(key)));
            System.out.println("-");
        }
    }
    static String hex(String text) throws IOException {
        StringBuilder all = new StringBuilder(".");
        for (byte one : text.getBytes("UTF-16BE")) all.append(String.format("%02x", one));
        return all.toString();
    }
}
"""


@pytest.mark.skipif(shutil.which("javac") is None, reason="needs a Java compiler")
def test_java_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "Reader.java").write_text(READER)
    texts = [OLD, *(text for text, _, _ in CHANGES), *_random_texts(200)]
    chosen = random.Random(2)
    written = [rewritten(text, {"dbPassword": _random_value(chosen)}, "f") for text in texts]
    names = []
    for number, text in enumerate([*texts, *written]):
        names.append(tmp_path / f"{number}.properties")
        names[-1].write_bytes(text.encode(ENCODING))
    command = ["java", "-Xshare:auto", str(tmp_path / "Reader.java"), *map(str, names)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    answers = output.split("-\n")
    assert len(answers) == len(texts) + len(written) + 1
    for text, found in zip([*texts, *written], answers):
        read = dict(map(_unhexed, line.split(" ")) for line in found.splitlines())
        assert read == parse(text, "f"), text


def _unhexed(word: str) -> str:
    return bytes.fromhex(word[1:]).decode("utf-16-be")


# What is read behind a line of nothing but a backslash differs between versions of Java.
_CHANGED_IN_JAVA = re.compile(r"(?:\A|[\r\n])[ \t\f]*\\(?:[\r\n]|\Z)")


def _random_texts(count: int) -> list[str]:
    chosen = random.Random(1)
    pieces = [*"ab=: \t#!\\\n\r\fé", "dbPassword", "\\u0061", "\\\n", "x=y\n"]
    texts = ["k=v\n" + "".join(chosen.choices(pieces, k=chosen.randrange(40))) for _ in range(2 * count)]
    return [text for text in texts if not _CHANGED_IN_JAVA.search(text)][:count]


def _random_value(chosen: random.Random) -> str:
    return "".join(chosen.choices([*" \t\n\r\f\\=:#!aé€😀\0'\""], k=chosen.randrange(12)))


LOGIN = Credentials("db.example", 5433, "someone", Secret("p\\w é€"), "base")
READ_BACK = {
    "dbHost": "db.example",
    "dbPort": "5433",
    "dbUsername": "someone",
    "dbPassword": "p\\w é€",
    "js.dbName": "base",
}


def test_credentials_of_reports() -> None:
    text = rewritten_properties(OLD, REPORTS, LOGIN)
    assert parse(text, "f").items() >= READ_BACK.items()


def test_bytes_that_are_no_text_are_kept(tmp_path: Path) -> None:
    place = tmp_path / REPORTS.properties_file.lstrip("/")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"# \xff\xe9 \xc3\xa9\nother=\xe9\ndbHost=old\n")
    place.chmod(0o640)
    assert rewrite(tmp_path, REPORTS, LOGIN, WHEN) == [place]
    content = place.read_bytes()
    assert content.startswith(b"# \xff\xe9 \xc3\xa9\nother=\xe9\ndbHost=db.example\ndbPort=5433\n")
    assert parse(content.decode(ENCODING), "f").items() >= READ_BACK.items()
    assert place.stat().st_mode & 0o777 == 0o640
    assert (place.parent / "master.properties.20260819010203").read_bytes().endswith(b"dbHost=old\n")
