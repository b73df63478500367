"""Files of results, rows of both sides, and what a reader gets to see."""

from pathlib import Path

import pytest
from bench.scenarios import SCENARIOS
from bench.shape import Better, Figure
from bench_results import created
from bench_results import results as made
from msgspec import structs

from bench import page, results, table


def test_a_file_of_results_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = results.write(made(), tmp_path / "below" / "results")
    assert file.name == "20260302-090000.json"
    assert results.read(file) == made()


def test_a_row_holds_the_medians_of_both_sides() -> None:
    (row,) = results.rows(made())
    assert (row.ours, row.theirs) == (4000.0, 25.0)
    assert row.times_better == 160
    assert row.is_reached is True


def test_a_side_that_gave_no_figure_leaves_a_gap() -> None:
    alone = made()
    alone.turns = alone.turns[:1]
    (row,) = results.rows(alone)
    assert row.theirs is None
    assert row.times_better is None
    assert table.cells(row)[4] == "-"


def test_a_count_is_not_compared() -> None:
    """Two runs executed twice are not half as good as one."""
    (row,) = results.rows(made())
    assert structs.replace(row, unit="").times_better is None


@pytest.mark.parametrize(("better", "reached"), [(Better.MORE, [False, True, True]), (Better.LESS, [True, True, False])])
def test_a_target_is_reached_from_the_right_side(better: Better, reached: list[bool]) -> None:
    figures = [Figure(name="x", value=value, unit="", better=better, target=10.0) for value in (9.0, 10.0, 11.0)]
    assert [figure.is_reached for figure in figures] == reached


def test_the_table_says_what_is_missed() -> None:
    lines = table.plain(results.rows(made())).splitlines()
    assert lines[0].split()[:2] == ["scenario", "figure"]
    assert "4,000/s" in lines[2]
    assert "160 x" in lines[2]
    assert lines[2].endswith("reached")
    short = made()
    short.turns = short.turns[3:4]
    assert table.plain(results.rows(short)).endswith("MISSED")


def test_the_page_shows_the_machine_the_figures_and_what_failed() -> None:
    text = page.render(made(), SCENARIOS)
    for part in ("2 cores of Example 1000, 16 GB", "2026-03-02 09:00 UTC", "## create", "it did not start", "160 x"):
        assert part in text
    assert "Not to be relied on" not in text
    assert "## poll" not in text


def test_the_page_shows_where_the_time_of_what_missed_a_target_goes() -> None:
    profiled = made()
    profiled.profiled = [structs.replace(profiled.turns[0], areas={"our rules": 0.25, "SQLite": 0.75})]
    assert page.render(profiled, SCENARIOS).splitlines()[-4:] == [
        "|  | create, sqlite |",
        "| --- | ---: |",
        "| SQLite | 75% |",
        "| our rules | 25% |",
    ]
    assert "Where the time goes" not in page.render(made(), SCENARIOS)


def test_scenarios_that_were_measured_again_replace_the_earlier_ones() -> None:
    """As a whole, with what was sampled of them, and the page says when; the others stay as they are."""
    first, later = made(), made(load_before=0.3)
    first.turns += [structs.replace(first.turns[0], scenario="logs")]
    first.profiled = [structs.replace(turn, areas={"our rules": 1.0}) for turn in first.turns]
    later.date = later.date.replace(hour=11)
    later.turns = [structs.replace(later.turns[0], figures=[created(4400.0)])]
    both = results.updated(first, later)
    assert [(row.scenario, row.ours, row.theirs) for row in results.rows(both)] == [
        ("logs", 5000.0, None),
        ("create", 4400.0, None),
    ]
    assert {turn.scenario for turn in both.profiled} == {"logs"}
    text = page.render(both, SCENARIOS)
    created_part, logs_part = text[text.index("## create") :].split("## logs")
    assert "Measured again: 2026-03-02 11:00 UTC, load before 0.3." in created_part
    assert "Measured again" not in logs_part
    assert "2026-03-02 09:00 UTC" in text


@pytest.mark.parametrize("doubtful", [made(quick=True), made(load_before=3.0)], ids=["quick", "busy"])
def test_the_page_says_when_its_figures_are_worth_little(doubtful: results.Results) -> None:
    assert "Not to be relied on" in page.render(doubtful, SCENARIOS)
