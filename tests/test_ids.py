"""Ids sort by the time of their making, tell it, and never repeat."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.ids import first_at, made_at, uuid7, uuid7_texts

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, UTC)


def test_an_id_is_a_uuid_of_version_7() -> None:
    id = uuid7(NOW)
    assert isinstance(id, UUID)
    assert (id.version, id.variant) == (7, uuid4().variant)


def test_the_layout_is_that_of_the_standard() -> None:
    """48 bits of milliseconds, 4 of version, 12 of what comes after the millisecond, 2 of variant, 62 random ones."""
    at = made_at(uuid7(NOW)) + timedelta(milliseconds=5, microseconds=250)  # later than all that this process made
    bits = f"{uuid7(at).int:0128b}"
    assert int(bits[:48], 2) == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert int(bits[48:52], 2) == 7
    assert abs(int(bits[52:64], 2) - 1000) <= 4  # a quarter of 4,000: four steps a microsecond
    assert bits[64:66] == "10"


def test_ids_of_one_moment_ascend_and_differ() -> None:
    ids = [uuid7(NOW) for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert [str(id) for id in ids] == sorted(str(id) for id in ids)


def test_ids_ascend_when_the_clock_goes_back() -> None:
    first = uuid7(NOW + timedelta(minutes=1))
    assert uuid7(NOW) > first


def test_many_ids_at_once_are_as_good_as_one_by_one() -> None:
    """Written out, of the standard's layout, of that moment, ascending, above those before and below those after."""
    before, at = uuid7(NOW), NOW + timedelta(minutes=5)
    texts = uuid7_texts(at, 1_000) + uuid7_texts(at, 1_000)
    ids = [UUID(text) for text in texts]
    assert [str(id) for id in ids] == texts
    assert {(id.version, id.variant) for id in ids} == {(7, uuid4().variant)}
    every = [before, *ids, uuid7(at)]
    assert every == sorted(set(every))
    assert {made_at(id) for id in ids} == {made_at(ids[0])}
    assert uuid7_texts(at, 0) == []


def test_ids_of_many_threads_differ() -> None:
    before = uuid7(NOW)
    made: list[list[UUID]] = [[] for _ in range(4)]

    def make(ids: list[UUID]) -> None:
        ids += [uuid7(NOW) for _ in range(2_000)]

    threads = [threading.Thread(target=make, args=(ids,)) for ids in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [id for ids in made for id in ids]
    assert min(everything) > before
    assert uuid7(NOW) > max(everything)
    assert len(set(everything)) == 8_000
    assert all(ids == sorted(ids) for ids in made)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20))
def test_an_id_tells_the_millisecond_of_its_making(steps: list[int]) -> None:
    at = made_at(uuid7(NOW)) + timedelta(milliseconds=1)  # later than all that this process made
    for step in steps:
        at += timedelta(microseconds=step)
        assert made_at(uuid7(at)) == at.replace(microsecond=at.microsecond // 1000 * 1000)


def test_a_bound_parts_ids_by_their_millisecond() -> None:
    at = made_at(uuid7(NOW)) + timedelta(milliseconds=2)  # later than all that this process made
    before, first, later = (uuid7(at + timedelta(microseconds=step)) for step in (-1, 0, 999))
    for within in (0, 1, 999):
        assert before < first_at(at + timedelta(microseconds=within)) < first < later
    assert made_at(first_at(at)) == at
    assert first_at(at + timedelta(milliseconds=1)) > later


def test_a_bound_of_long_ago_is_below_all_ids() -> None:
    assert first_at(datetime(1, 1, 1, tzinfo=UTC)) == UUID(int=0)


def test_the_random_part_is_random() -> None:
    tails = {uuid7(NOW).int & 0x3FFF_FFFF_FFFF_FFFF for _ in range(100)}
    assert len(tails) == 100
