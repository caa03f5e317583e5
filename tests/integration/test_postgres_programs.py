from __future__ import annotations

from pathlib import Path

import pytest

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.errors import ProgramError

NONE: tuple[Programs, ...] = ()


def stand_in(directory: Path, version: str, names: tuple[str, ...] = ("pg_dump", "pg_restore")) -> Path:
    """Programs that say a version and do nothing else."""
    directory.mkdir(parents=True)
    for name in names:
        path = directory / name
        path.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        path.chmod(0o755)
    return directory


def of_majors(*majors: int) -> tuple[Programs, ...]:
    return tuple(Programs(Path(f"/somewhere/{major}/bin"), (major, 3)) for major in majors)


def test_finds_real_programs_newest_first():
    found = postgres_programs.installed()
    assert found
    assert list(found) == sorted(found, key=lambda programs: programs.version, reverse=True)
    assert len({programs.directory for programs in found}) == len(found)


def test_version_is_what_the_program_says_not_what_the_path_says(tmp_path):
    place = stand_in(tmp_path / "usr/pgsql-12/bin", "16.4 (Red Hat)")
    assert Programs(place, (16, 4)) in postgres_programs.installed(root=tmp_path)


@pytest.mark.parametrize(
    ("text", "version"),
    [("9.6.24", (9, 6)), ("13.11", (13, 11)), ("19devel", (19, 0)), ("18beta2", (18, 0))],
)
def test_understands_every_form_of_version(tmp_path, text, version):
    place = stand_in(tmp_path / "bin", text)
    assert postgres_programs.installed(explicit=place) == (Programs(place, version),)


def test_a_wrapper_under_the_programs_name_is_no_installation(tmp_path):
    place = stand_in(tmp_path / "usr/bin", "14.1")
    (place / "pg_dump").rename(place / "pg_wrapper")
    (place / "pg_dump").symlink_to("pg_wrapper")
    assert all(programs.directory != place for programs in postgres_programs.installed(root=tmp_path))


def test_a_link_to_an_installation_is_that_installation(tmp_path):
    real = stand_in(tmp_path / "usr/pgsql-14/bin", "14.1")
    (tmp_path / "usr/bin").mkdir()
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / "usr/bin" / name).symlink_to(real / name)
    found = [p for p in postgres_programs.installed(root=tmp_path) if tmp_path in p.directory.parents]
    assert found == [Programs(real, (14, 1))]


def test_broken_programs_are_passed_over(tmp_path):
    place = stand_in(tmp_path / "usr/pgsql-14/bin", "14.1")
    (place / "pg_dump").write_text("#!/bin/sh\nexit 1\n")
    assert all(programs.directory != place for programs in postgres_programs.installed(root=tmp_path))


def test_pg_config_leads_to_a_directory_nobody_would_guess(tmp_path, monkeypatch):
    real = stand_in(tmp_path / "opt/database/bin", "14.2")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "pg_config").write_text(f"#!/bin/sh\necho {real}\n")
    (tools / "pg_config").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    assert Programs(real, (14, 2)) in postgres_programs.installed()


def test_explicit_directory_is_the_only_one_looked_at(tmp_path):
    place = stand_in(tmp_path / "bin", "11.2")
    assert postgres_programs.installed(explicit=place) == (Programs(place, (11, 2)),)


def test_explicit_directory_of_no_use_is_an_error(tmp_path):
    stand_in(tmp_path / "bin", "11.2", names=("pg_dump",))
    with pytest.raises(ProgramError, match=r"no working pg_dump and pg_restore in .*/bin"):
        postgres_programs.installed(explicit=tmp_path / "bin")


@pytest.mark.parametrize(
    ("server", "there", "chosen"),
    [(150018, (18, 15, 13), 15), (140000, (18, 15, 13), 15), (90624, (18, 10), 10), (180001, (18, 15), 18)],
)
def test_dump_takes_the_own_major_or_the_oldest_newer(server, there, chosen):
    assert postgres_programs.for_dump(server, of_majors(*there)).major == chosen


@pytest.mark.parametrize("there", [(), (15, 13)])
def test_dump_of_a_newer_server_says_what_to_install(there):
    with pytest.raises(ProgramError, match="PostgreSQL 16 or newer") as caught:
        postgres_programs.for_dump(160002, of_majors(*there))
    assert "postgresql-client-16" in caught.value.hint


def test_restore_takes_the_oldest_that_can_read():
    assert postgres_programs.for_restore(13, of_majors(18, 15, 12)).major == 15


def test_server_programs_prefer_the_system(tmp_path):
    servers = postgres_programs.with_server()
    chosen = postgres_programs.for_server()
    assert chosen in servers
    if any(not postgres_programs.embedded(programs) for programs in servers):
        assert not postgres_programs.embedded(chosen)


def test_no_server_programs_says_what_to_install():
    with pytest.raises(ProgramError) as caught:
        postgres_programs.for_server(NONE)
    assert "postgresql-server" in caught.value.hint
