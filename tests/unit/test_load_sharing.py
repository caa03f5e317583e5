"""How processors and room are shared out among the databases of a restore."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine_backup.plan.load_sharing import MOST_JOBS, Share, Work, at_once, processes, share_out

GIB = 1 << 30
SIZES = st.integers(0, 1 << 50)
CORES = st.integers(1, 512)
WORKS = st.lists(
    st.builds(
        Work,
        name=st.text(min_size=1, max_size=3),
        size=SIZES,
        unpacked_size=st.none() | SIZES,
        asked=st.none() | st.integers(1, 100),
        divided=st.booleans(),
    ).filter(lambda work: work.unpacked_size is not None or not work.divided),
    max_size=6,
    unique_by=lambda work: work.name,
)


@given(WORKS, CORES, SIZES)
def test_every_database_is_loaded_once_the_largest_first(works, cores, free):
    shares = share_out(works, cores, free)
    assert sorted(shares) == sorted(work.name for work in works)
    sizes = {work.name: work.size for work in works}
    loaded = [sizes[name] for name in shares]
    assert loaded == sorted(loaded, reverse=True)


@given(WORKS, CORES, SIZES)
def test_unpacked_dumps_fit_together(works, cores, free):
    shares = share_out(works, cores, free)
    unpacked = [work for work in works if shares[work.name].unpacked]
    assert all(work.unpacked_size is not None for work in unpacked)
    assert sum(work.unpacked_size for work in unpacked) <= free


@given(WORKS, CORES, SIZES)
def test_a_stream_has_one_reader_and_a_file_or_parts_have_more(works, cores, free):
    divided = {work.name for work in works if work.divided}
    for name, share in share_out(works, cores, free).items():
        assert share.divided is (name in divided and share.jobs > 1)
        assert share.divided or (share.jobs > 1) is share.unpacked
        assert not (share.divided and share.unpacked)
        assert share.jobs >= 1


@given(WORKS, CORES)
def test_what_was_asked_for_counts(works, cores):
    room = sum(work.unpacked_size or 0 for work in works) + 1
    shares = share_out(works, cores, room)
    for work in works:
        if work.asked is not None and work.unpacked_size is not None:
            assert shares[work.name].jobs == work.asked


@given(WORKS, CORES, SIZES)
def test_no_share_is_larger_than_the_machine(works, cores, free):
    unasked = [replace(work, asked=None) for work in works]
    shares = share_out(unasked, cores, free)
    assert all(share.jobs <= min(cores, MOST_JOBS) for share in shares.values())
    assert processes(shares.values(), cores) <= max(cores, 2) + cores + len(works)


@given(WORKS, CORES)
def test_the_larger_one_has_no_fewer_processes(works, cores):
    custom = [
        replace(work, asked=None, unpacked_size=work.unpacked_size or 0, divided=False) for work in works
    ]
    room = sum(work.unpacked_size for work in custom) + 1
    jobs = [share.jobs for share in share_out(custom, cores, room).values()]
    assert jobs == sorted(jobs, reverse=True)


@given(st.integers(1, 6), CORES)
def test_databases_are_loaded_side_by_side(count, cores):
    assert min(count, 2) <= at_once([Share(1, unpacked=False)] * count, cores) <= count


@given(WORKS.filter(bool), CORES, SIZES)
def test_no_more_loads_go_on_than_there_are_or_processors_or_as_were_asked_for(works, cores, free):
    shares = share_out(works, cores, free).values()
    found = at_once(shares, cores)
    assert 1 <= found <= sum(share.jobs if share.divided else 1 for share in shares)
    assert found <= max(cores, 2, *(work.asked or 0 for work in works))
    assert all(found >= share.jobs for share in shares if share.divided)


def test_parts_keep_the_processors_busy_and_no_more():
    works = [Work("engine", 2 * GIB, GIB, divided=True), Work("dwh", 6 * GIB, GIB, divided=True),
             Work("keycloak", 1 << 20, 1 << 20)]  # fmt: skip
    for cores, jobs, together, most in ((2, 2, 2, 3), (8, 8, 8, 9), (16, 8, 16, 17), (1, 1, 2, 3)):
        shares = share_out(works, cores, free_space=0)
        assert (shares["dwh"].jobs, shares["engine"].jobs) == (jobs, jobs)
        assert not any(share.reason or share.unpacked for share in shares.values())
        assert at_once(shares.values(), cores) == together
        assert processes(shares.values(), cores) == most


def test_processors_go_to_the_large_ones():
    works = [Work("engine", 2 * GIB, GIB), Work("dwh", 6 * GIB, GIB), Work("keycloak", 1 << 20, 1 << 20)]
    assert share_out(works, 8, 100 * GIB) == {
        "dwh": Share(6, True),
        "engine": Share(2, True),
        "keycloak": Share(1, False),
    }


def test_what_others_were_promised_is_not_shared_out():
    works = [Work("engine", GIB, GIB, asked=5), Work("dwh", GIB, GIB), Work("keycloak", GIB)]
    assert share_out(works, 8, 100 * GIB) == {
        "engine": Share(5, True),
        "dwh": Share(2, True),
        "keycloak": Share(1, False),
    }


def test_room_goes_to_the_largest():
    works = [Work("engine", GIB, GIB, asked=2), Work("dwh", 2 * GIB, 2 * GIB, asked=2)]
    assert share_out(works, 2, 2 * GIB + 1) == {
        "dwh": Share(2, True),
        "engine": Share(1, False, "no room for 1,024 MiB of it unpacked in the temporary directory"),
    }
