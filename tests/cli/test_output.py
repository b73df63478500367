"""Tables, records, JSON and questions: what people and programs see."""

import sys
from datetime import timedelta
from uuid import UUID

import pytest
from command_line import NOW, drawn

from headgate.cli.output import Column, Refused, UsageError, confirm, error_line, print_json, print_record, print_table
from headgate.schema.flows import Flow

FLOW = Flow(
    id=UUID(int=7), created=NOW - timedelta(minutes=2), updated=NOW, name="hello", labels={"team": "data", "since": "2020"}
)
COLUMNS = [Column("ID", keep=True, spare=True), Column("Name"), Column("Size", right=True)]


def test_a_table_that_fits_has_lines_and_its_ids(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Things", COLUMNS, [(str(UUID(int=1)), "one", "10"), (str(UUID(int=2)), "[two]", "5")], caption="all")
    assert drawn(capsys.readouterr().out) == [
        "Things",
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━┳━━━━━━┓",
        "┃ ID                                   ┃ Name  ┃ Size ┃",
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━╇━━━━━━┩",
        "│ 00000000-0000-0000-0000-000000000001 │ one   │   10 │",
        "│ 00000000-0000-0000-0000-000000000002 │ [two] │    5 │",
        "└──────────────────────────────────────┴───────┴──────┘",
        "all",
    ]


def test_a_table_that_is_too_wide_leaves_out_what_it_can_spare(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Things", COLUMNS, [(str(UUID(int=1)), "n" * 40, "10")])
    assert drawn(capsys.readouterr().out) == [
        "Things",
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━┓",
        "┃ Name                                     ┃ Size ┃",
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━┩",
        "│ nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn │   10 │",
        "└──────────────────────────────────────────┴──────┘",
    ]


def test_titles_are_stacked_before_anything_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column("ID", keep=True, spare=True), Column("Time of day", keep=True), Column("Concurrency Limit")]
    print_table("Things", columns, [(str(UUID(int=1)), "n" * 18, "10")])
    assert drawn(capsys.readouterr().out)[2:4] == [
        "┃                                      ┃                    ┃ Concurrency ┃",
        "┃ ID                                   ┃ Time of day        ┃ Limit       ┃",
    ]


def test_a_pipe_is_given_everything(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no width; a terminal has, and so has whoever sets COLUMNS."""
    monkeypatch.delenv("COLUMNS")
    print_table("Things", COLUMNS, [(str(UUID(int=1)), "n" * 100, "10")])
    assert drawn(capsys.readouterr().out)[4] == f"│ {UUID(int=1)} │ {'n' * 100} │   10 │"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    print_table("Things", COLUMNS, [(str(UUID(int=1)), "n" * 100, "10")])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_nothing_is_lost_where_even_that_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    name = "".join(str(n % 10) for n in range(100))
    print_table("Things", COLUMNS, [(str(UUID(int=1)), name, "10")])
    out = capsys.readouterr().out.splitlines()
    assert max(map(len, out)) <= 80
    assert "".join(line[:74].strip() for line in out[2:]).replace(" ", "") == name


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Things", COLUMNS, [])
    assert capsys.readouterr().out == "Things: none\n"


def test_output_that_is_no_terminal_has_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Things", COLUMNS, [("1", "one", "10")])
    print_record(FLOW, now=NOW)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_a_terminal_has_colour_unless_no_color_is_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, no_color: str | None, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    print_record(FLOW, now=NOW)
    assert ("\x1b[3" in capsys.readouterr().out) is coloured


def test_a_record_shows_all_fields_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(FLOW, now=NOW)
    assert capsys.readouterr().out == (
        "Flow(\n"
        "    id='00000000-0000-0000-0000-000000000007',\n"
        "    created='2 minutes ago',\n"
        "    updated='just now',\n"
        "    name='hello',\n"
        "    tags=[],\n"
        "    labels={'team': 'data', 'since': '2020'},\n"
        ")\n"
    )


def test_json_is_exactly_the_wire_record(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([FLOW])
    assert capsys.readouterr().out == (
        "[\n"
        "  {\n"
        '    "id": "00000000-0000-0000-0000-000000000007",\n'
        '    "created": "2026-03-01T11:58:00Z",\n'
        '    "updated": "2026-03-01T12:00:00Z",\n'
        '    "name": "hello",\n'
        '    "tags": [],\n'
        '    "labels": {\n'
        '      "team": "data",\n'
        '      "since": "2020"\n'
        "    }\n"
        "  }\n"
        "]\n"
    )


def test_an_error_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    error_line("first\n   second")
    assert capsys.readouterr() == ("", "Error: first second\n")


def test_yes_asks_nobody() -> None:
    confirm("Sure?", yes=True)


def test_without_a_terminal_nothing_is_destroyed_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match="--yes"):
        confirm("Sure?", yes=False)


@pytest.mark.parametrize("answer", ["y", "Yes "])
def test_who_agrees_goes_on(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    confirm("Sure?", yes=False)


@pytest.mark.parametrize("answer", ["", "n", "what?"])
def test_anything_else_is_a_no(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    with pytest.raises(Refused, match="Nothing was changed"):
        confirm("Sure?", yes=False)
