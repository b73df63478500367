"""`headgate variable`, against the real app."""

import pytest
from command_line import Run, drawn

from headgate.client.client import Client

pytestmark = pytest.mark.usefixtures("api")


@pytest.mark.parametrize(
    ("given", "value", "printed"),
    [
        ("eu", "eu", "eu"),
        ("5", 5, "5"),
        ("-5", -5, "-5"),
        ("true", True, "true"),
        ("null", None, "null"),
        ('"5"', "5", "5"),
        ('{"cpu": 2, "a": [1]}', {"cpu": 2, "a": [1]}, '{"cpu":2,"a":[1]}'),
        ("{not json", "{not json", "{not json"),
        ("", "", ""),
    ],
)
def test_a_value_is_read_as_json_if_it_is_json_and_printed_as_it_was_meant(
    run: Run, given: str, value: object, printed: str
) -> None:
    assert run("variable", "set", "v", given, "-o", "json").json["value"] == value
    assert run("variable", "inspect", "v", "-o", "json").json["value"] == value
    assert run("variable", "get", "v").out == f"{printed}\n"


def test_set_changes_only_when_it_is_told_to(run: Run) -> None:
    created = run("variable", "set", "region", "eu", "--tag", "a", "--tag", "b")
    assert created.out == "Created variable 'region'. In a job it is {{ headgate.variables.region }}\n"
    refused = run("variable", "set", "region", "us")
    assert (refused.code, refused.err) == (1, "Error: Variable 'region' exists already; --overwrite changes it.\n")
    assert run("variable", "set", "region", "us", "--overwrite").out.startswith("Changed variable 'region'.")
    changed = run("variable", "inspect", "region", "-o", "json").json
    assert (changed["value"], changed["tags"]) == ("us", ["a", "b"])
    run("variable", "set", "region", "us", "--overwrite", "--tag", "c")
    assert run("variable", "inspect", "region", "-o", "json").json["tags"] == ["c"]


def test_ls_shows_names_values_and_tags(run: Run) -> None:
    assert run("variable", "ls").out == "Variables: none\n"
    run("variable", "set", "b", "x" * 100, "--tag", "t")
    run("variable", "set", "a", '{"k": 1}')
    rows = [line for line in drawn(run("variable", "ls").out) if "just now" in line]
    assert '{"k":1}' in rows[0]
    assert "xxx…" in rows[1]
    assert [each["name"] for each in run("variable", "ls", "-o", "json").json] == ["a", "b"]


def test_unset_asks_first(run: Run, api: Client) -> None:
    run("variable", "set", "region", "eu")
    refused = run("variable", "unset", "region")
    assert refused.code == 2
    assert "Runs that refer to variable 'region' would crash. Delete it? Nobody can be asked here" in refused.err
    assert run("variable", "unset", "region", "--yes").out == "Deleted variable 'region'\n"
    for command in ("get", "inspect", "unset"):
        outcome = run("variable", command, "region")
        assert outcome.err == "Error: There is no variable 'region'; `headgate variable ls` lists all.\n"
        assert outcome.code == 1


def test_a_name_that_no_reference_could_hold_is_refused_before_anything_is_sent(run: Run) -> None:
    for noun in (["variable", "set", "My.Region", "x"], ["secret", "set", "My.Token", "--value", "x"]):
        outcome = run(*noun)
        assert outcome.code == 2
        assert "it is made of lowercase letters, digits, - and _." in outcome.err
