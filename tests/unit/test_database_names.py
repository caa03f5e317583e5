from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.plan.database_names import (
    LONGEST_NAME,
    replaced_name,
    temporary_name,
    timestamped_name,
)

WHEN = datetime(2026, 8, 9, 1, 2, 3, 45)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


def test_names_of_a_usual_database():
    assert timestamped_name("engine", WHEN) == "engine_20260809010203"
    assert replaced_name("engine", WHEN) == "engine_before_restore_20260809010203"
    assert temporary_name("engine", WHEN) == "engine_restoring_20260809010203000045"


@pytest.mark.parametrize("make", [timestamped_name, replaced_name, temporary_name])
@given(name=NAMES, other=NAMES)
def test_any_name_fits_and_stays_itself(make, name, other):
    made = make(name, WHEN)
    assert len(made.encode()) <= LONGEST_NAME
    assert (made == make(other, WHEN)) is (name == other)


@given(name=NAMES, first=st.datetimes(min_value=datetime(1970, 1, 1)), second=st.datetimes())
def test_temporary_names_are_of_their_moment(name, first, second):
    assert (temporary_name(name, first) == temporary_name(name, second)) is (first == second)
