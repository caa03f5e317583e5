"""The documentation is held against the program: names, numbers, links, and commands that really run."""

from __future__ import annotations

import json
import re
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

import engine_backup
from benchmarks.__main__ import command_line
from engine_backup.drivers import postgres
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model import errors
from engine_backup.model.components import BY_NAME, COMPONENTS, DATABASES
from engine_backup.model.errors import ExitStatus
from engine_backup.model.facts import Credentials
from engine_backup.model.hooks import STAGES
from engine_backup.model.inventory import MOMENTS, OBJECT_COUNTS, OBJECT_KINDS
from engine_backup.model.options import GENERAL_OPTIONS, all_options
from engine_backup.model.paths import SAVED_PATHS
from engine_backup.model.presets import PRESETS
from engine_backup.model.requests import Surroundings
from engine_backup.model.secret import Secret
from engine_backup.model.server import ClusterPrivileges, DatabaseGrant, Membership, StoredSetting
from engine_backup.model.steps import Plan
from engine_backup.run import hook_document, plan_document
from engine_backup.run.hook_document import Moment
from tests.support import golden
from tests.support.pages import DOCS, README, ROOT, block, page_name
from tests.support.sample import Original

PACKAGE = Path(engine_backup.__file__).parent
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

# Options of tar, pg_restore and others in the commands that the pages show, and of ours that argparse adds.
FOREIGN = {
    "--name",  # stands for any
    "--wildcards", "--list", "--exit-on-error", "--no-owner", "--no-privileges", "--use-list", "--host",
    "--username", "--dbname", "--quiet", "--no-overwrite-dir", "--deploy", "--restore-from-file",
    "--initdb", "--config-append", "--offline", "--accept-defaults",
    "--reload",  # of firewall-cmd
    "--set-maintenance", "--vm-shutdown",  # of hosted-engine
}  # fmt: skip
PARSERS_OWN = {"--help", "--version"}
# Stand for a family of options.
FAMILIES = re.compile(r"--(?:provision|he-remove|change)-?\*|--\*-[a-z-]+")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


def table(page: Path, title: str) -> list[list[str]]:
    """Return the cells of the table below a mark, without its head."""
    text = page.read_text(encoding="utf-8").split(f"<!-- checked: {title} -->\n")[1]
    lines = text.split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("option", GENERAL_OPTIONS, ids=lambda option: option.name)
def test_readme_names_every_general_option(option):
    if not option.hidden:
        assert option.name in OPTION.findall(README.read_text(encoding="utf-8"))


@pytest.mark.parametrize("field", sorted({option.field for option in all_options() if option.component}))
def test_each_kind_of_database_option_is_named_somewhere(field):
    named = {name for page in PAGES for name in OPTION.findall(page.read_text(encoding="utf-8"))}
    assert named & {option.name for option in all_options() if option.component and option.field == field}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_option_that_is_named_exists(page: Path):
    text = FAMILIES.sub("", page.read_text(encoding="utf-8"))
    known = {name for option in all_options() for name in (option.name, *option.aliases)}
    known |= set(command_line()._option_string_actions) if page.name == "performance.md" else set()
    unknown = set(OPTION.findall(text)) - known - PARSERS_OWN - FOREIGN
    assert unknown <= ({"--fil"} if page.name == "exit-codes.md" else set())


def test_readme_names_every_preset_and_scope():
    text = README.read_text(encoding="utf-8")
    assert [f"`--{name}`" in text for name in PRESETS if name != "default"] == [True] * (len(PRESETS) - 1)
    for component in BY_NAME.values():
        assert f"`{component.scope}`" in text


def test_readme_names_what_is_saved():
    """Every saved path, or the directory that the table of groups sums it up with."""
    text = README.read_text(encoding="utf-8")
    summed_up = ("/etc/httpd/", "/var/lib/ovirt-engine-reports", "/etc/firewalld/", "/etc/sysconfig/ip")
    summed_up += ("/etc/sysconfig/nftables.conf", "/etc/nftables", "/etc/ovirt-provider-ovn/logger.conf")
    for row in SAVED_PATHS:
        assert f"`{row.path}`" in text or row.path.startswith(summed_up), row.path
        if row.group == "httpd":
            assert "/etc/httpd" in text


@pytest.mark.parametrize("status", ExitStatus, ids=lambda status: status.name)
def test_each_exit_status_is_explained(status: ExitStatus):
    text = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    assert f"| {status.value} | `{status.name}` |" in text
    if status is not ExitStatus.SUCCESS:
        assert re.search(rf"^### {status.value}, ", text, re.MULTILINE)


def test_only_real_exit_statuses_are_explained():
    text = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.MULTILINE)
    assert rows == [(str(status.value), status.name) for status in ExitStatus]


def test_each_error_is_mapped_to_its_status():
    text = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    sections = re.split(r"^### (\d+), ", text, flags=re.MULTILINE)[1:]
    by_status = dict(zip(sections[::2], sections[1::2]))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    for kind in (*kinds, postgres.LoginError):
        if issubclass(kind, BaseException):
            assert f"`{kind.__name__}`" in by_status[str(int(kind.status))], kind.__name__


def test_the_source_map_lists_every_module_and_no_other():
    listed = re.findall(r"^\| `([\w/]+\.py)` \|", (DOCS / "source-map.md").read_text("utf-8"), re.MULTILINE)
    modules = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    layers = {f"{path.parent.name}/__init__.py" for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(listed) == sorted(modules - layers)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place), target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_pages_are_plain(page: Path):
    text = page.read_text(encoding="utf-8")
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert text.startswith("# ")


def manifest_of(archive: Path) -> dict:
    with tarfile.open(archive) as opened:
        return json.load(opened.extractfile("./manifest.json"))


def test_every_field_of_the_manifest_is_explained(original: Original):
    page = DOCS / "archive-format.md"
    manifest = manifest_of(original.machine.archive)
    types = {bool: "boolean", int: "integer", float: "number or null", str: "string", dict: "object"}
    documented = {cells[0].strip("`"): cells[1] for cells in table(page, "fields of the manifest")}
    assert list(manifest) == list(documented)
    for name, value in manifest.items():
        assert documented[name].startswith("array") if isinstance(value, list) else types[type(value)]
        if type(value) in types:
            assert documented[name] == types[type(value)], name


def test_every_field_of_a_member_is_explained(original: Original):
    page = DOCS / "archive-format.md"
    rows = {cells[0].strip("`"): cells[1:] for cells in table(page, "fields of each member")}
    seen: set[str] = set()
    for member in manifest_of(original.machine.archive)["members"]:
        expected = {
            name
            for name, (of, *_) in rows.items()
            if set(of.replace("`", "").split(", ")) & set(groups(member))
        }
        assert set(member) == expected, member["name"]
        for name, value in member.items():
            objects = isinstance(value, list) and bool(value) and isinstance(value[0], dict)
            kinds = {int: "integer", str: "string", list: "array of strings", dict: "object"}
            assert rows[name][1] == ("array of objects" if objects else kinds[type(value)]), name
        seen |= set(member)
    assert seen == set(rows)


def test_every_field_of_what_the_manifest_says_of_files_is_explained(original: Original):
    page = DOCS / "archive-format.md"
    manifest = manifest_of(original.machine.archive)
    rows = [re.findall(r"`(\w+)`", cells[0]) for cells in table(page, "fields of each certificate")]
    assert manifest["certificates"]
    for certificate in manifest["certificates"]:
        assert [name for row in rows for name in row] == list(certificate)
    rows = [re.findall(r"`(\w+)`", cells[0]) for cells in table(page, "fields of the configuration")]
    assert [name for row in rows for name in row] == list(manifest["configuration"])
    assert {name for row in manifest["configuration"]["settings"] for name in row} == {"name", "value"}
    assert [cells[0].strip("`") for cells in table(page, "fields of hooks")] == list(manifest["hooks"])


def test_every_field_of_the_inventory_is_explained(original: Original):
    page = DOCS / "archive-format.md"
    manifest = manifest_of(original.machine.archive)
    rows = {cells[0].strip("`"): cells[1] for cells in table(page, "fields of the inventory")}
    names = [*(kind.name for kind in OBJECT_KINDS), *(moment.name for moment in MOMENTS)]
    assert list(rows) == list(manifest["inventory"]) == names
    assert [JSON_TYPES[type(value)] for value in manifest["inventory"].values()] == list(rows.values())
    for kind in (manifest["inventory"][kind.name] for kind in OBJECT_KINDS):
        hold_rows("fields of each kind", [kind], page)
        assert {name for row in kind["objects"] for name in row} == {"id", "name"}
    rows = [cells[0].strip("`") for cells in table(page, "fields of the object counts")]
    counted = [member["object_counts"] for member in manifest["members"] if "object_counts" in member]
    assert counted and all(rows == list(counts) == list(OBJECT_COUNTS) for counts in counted)


def test_every_field_of_privileges_is_explained(original: Original):
    page = DOCS / "archive-format.md"
    found = [m["privileges"] for m in manifest_of(original.machine.archive)["members"] if "privileges" in m]
    assert all(row in ClusterPrivileges.__dataclass_fields__ for privileges in found for row in privileges)
    for title, kind in (
        ("fields of privileges", ClusterPrivileges),
        ("fields of each grant", DatabaseGrant),
        ("fields of each setting", StoredSetting),
        ("fields of each membership", Membership),
    ):
        assert [cells[0].strip("`") for cells in table(page, title)] == list(kind.__dataclass_fields__)


def test_every_field_of_the_document_of_hooks_is_explained():
    page = DOCS / "hooks.md"
    documented = {cells[0].strip("`"): cells[1] for cells in table(page, "fields of the document of hooks")}
    surroundings = Surroundings(Path("/"), Path("/log"), Path("/tmp"))
    place = Path("/t")
    early = hook_document.document(Moment("init", "backup", "/f", place), surroundings)
    full = Moment("cleanup", "backup", "/f", place, place, ("/a",), hook_document.FAILURE, "why")
    late = hook_document.document(full, surroundings)
    assert list(early) == list(late) == list(documented)
    assert json.loads(hook_document.render(late)) == late
    for name, said in documented.items():
        allowed = [kind.split(" of ")[0] for kind in said.split(" or ")]
        assert {JSON_TYPES[type(early[name])], JSON_TYPES[type(late[name])]} <= set(allowed), name


def test_every_stage_and_variable_of_hooks_is_explained():
    text = (DOCS / "hooks.md").read_text(encoding="utf-8")
    for stage in STAGES:
        assert f"`{stage}`" in text
    for component in COMPONENTS:
        for prefix in (component.conf_prefix, component.reader_conf_prefix):
            assert f"`{prefix}…`" in text or not prefix


def test_every_field_of_a_plan_is_explained():
    page = DOCS / "restore-guide.md"
    rows = [re.findall(r"`(\w+)`", cells[0]) for cells in table(page, "fields of a plan")]
    surroundings = Surroundings(Path("/"), Path("/log"), Path("/tmp"))
    assert [name for row in rows for name in row] == list(plan_document.document(Plan(()), surroundings))


JSON_TYPES = {
    bool: "boolean", int: "integer", str: "string", dict: "object", type(None): "null", list: "array",
}  # fmt: skip


def hold_rows(title: str, objects: list[dict], page: Path = DOCS / "inspect.md") -> None:
    """Each object has just the documented fields, in their order, and values of the documented types."""
    rows = {cells[0].strip("`"): cells[1] for cells in table(page, title)}
    assert objects
    for found in objects:
        assert list(found) == list(rows), title
        for name, value in found.items():
            allowed = [kind.split(" of ")[0] for kind in rows[name].split(" or ")]
            assert JSON_TYPES[type(value)] in allowed, (title, name)
            if isinstance(value, list) and value:
                inner = {JSON_TYPES[type(item)] for item in value}
                assert f"array of {inner.pop()}s" in rows[name], (title, name)


def test_every_field_of_an_inspection_is_explained(original: Original):
    archives = [original.machine.archive, *map(golden.archive, golden.NAMES)]
    words = ["inspect", "--json", f"--root={original.machine.root}"]
    found = [json.loads(original.machine.command(*words, str(path)).check().stdout) for path in archives]
    components = [row for inspection in found for row in inspection["components"]]
    hold_rows("fields of an inspection", found)
    hold_rows("fields of an inspected component", components)
    hold_rows("fields of an inspected database", [row["database"] for row in components if row["database"]])
    hold_rows("fields of a need", [row for inspection in found for row in inspection["needs"]])
    for certificate in [row for inspection in found for row in inspection["certificates"]]:
        assert certificate.keys() == found[0]["certificates"][0].keys()


def test_every_field_of_a_list_is_explained(original: Original):
    listed = json.loads(original.machine.command("list", "--json", str(golden.DIRECTORY)).check().stdout)
    hold_rows("fields of a list", [listed])
    hold_rows("fields of a listed archive", listed["archives"])


def groups(member: dict) -> list[str]:
    """Name the words of the column "of" that fit a member."""
    component = member.get("component")
    if component is None:
        return ["all"]
    if component == "files":
        return ["all", "files"]
    is_postgres = component in {row.name for row in DATABASES}
    return ["all", "databases", "PostgreSQL"] if is_postgres else ["all", "databases"]


def test_roles_and_databases_of_the_restore_guide_are_fit_for_a_restore(tmp_path: Path):
    """The literal SQL, as the server's administrator; then what a restore looks at."""
    statements = [
        text
        for text in block(DOCS / "restore-guide.md", "create roles and databases").split(";")
        if text.strip()
    ]
    with ScratchServer.start() as server:
        with closing(server.connect("postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        for component in DATABASES:
            if component.name in ("reports", "cinderlib"):
                continue
            password = Secret(f"password of the {component.label} database".replace("Engine", "engine"))
            user, name = component.default_user, component.default_database
            login = Credentials(server.host, server.port, user, password, name)
            with postgres.session(login) as connection:
                state = postgres.observe(connection)
            assert (state.objects, state.encoding) == (0, "UTF8")
            assert state.may_create and not state.superuser
            assert "uuid-ossp" in state.extensions | state.creatable_extensions
