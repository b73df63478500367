"""Names of runs are words, and the same number always has the same one."""

import re

from hypothesis import given
from hypothesis import strategies as st

from headgate.core.names import ADJECTIVES, NOUNS, run_name


@given(st.integers(0, 2**128 - 1))
def test_a_name_is_an_adjective_and_a_noun_and_depends_on_its_number_only(seed: int) -> None:
    adjective, noun = run_name(seed).split("-")
    assert adjective in ADJECTIVES
    assert noun in NOUNS
    assert run_name(seed) == run_name(seed)


def test_neighbouring_numbers_have_different_names() -> None:
    assert len({run_name(seed) for seed in range(40_000)}) == 40_000


def test_words_are_plain_and_there_are_many() -> None:
    words = [*ADJECTIVES, *NOUNS]
    assert min(len(ADJECTIVES), len(NOUNS)) >= 150
    assert len(set(words)) == len(words)
    assert all(re.fullmatch("[a-z]{3,12}", word) for word in words)
