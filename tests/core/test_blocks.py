"""Rules of blocks: checksums as clients compute them, secrets that are masked and come back, documents in documents."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.blocks import MASK, checksum, fields_of_listed, listed_schemas, masked, plain_definitions, split, unmasked
from headgate.errors import BadRequest

PLAIN = {"title": "ZZ", "type": "object", "properties": {"a": {"type": "string"}}}
PATHS = {"secret_fields": ["a", "b.*", "c.d", "l.*.x"]}


def test_checksums_are_the_ones_that_existing_clients_and_servers_compute() -> None:
    """Observed on servers of both versions."""
    known = "sha256:f1ef16e318971976f3fb988e5cc09554015b24db72fb492f219dced3141a3c92"
    assert checksum(PLAIN | PATHS) == known
    assert checksum(PLAIN) == known, "which fields are secret makes no other schema"


def test_definitions_of_blocks_do_not_count_and_those_of_other_things_do() -> None:
    block = {"title": "Inner", "block_type_slug": "inner"}
    refers = {"properties": {"b": {"$ref": "#/definitions/Inner"}}}
    assert checksum(refers | {"definitions": {"Inner": block}}) == checksum(refers)
    assert checksum(refers | {"definitions": {"Inner": {"title": "Inner"}}}) != checksum(refers)


def test_definitions_that_refer_to_each_other_end() -> None:
    definitions = {"A": {"x": {"$ref": "#/definitions/B"}}, "B": {"x": [{"$ref": "#/definitions/A"}]}, "C": {}}
    assert set(plain_definitions({"$ref": "#/definitions/A"}, definitions)) == {"A", "B"}


def test_what_a_schema_lists_is_found_in_its_definitions() -> None:
    fields = {
        "properties": {"u": {"anyOf": [{"$ref": "#/definitions/A"}, {"$ref": "#/definitions/B"}]}},
        "definitions": {"A": {"block_type_slug": "a"}, "B": {"block_type_slug": "b", "title": "B"}},
        "block_schema_references": {
            "u": [
                {"block_type_slug": "a", "block_schema_checksum": "1"},
                {"block_type_slug": "b", "block_schema_checksum": "2"},
            ]
        },
    }
    assert list(listed_schemas(fields)) == [("u", "a", "1"), ("u", "b", "2")]
    found = fields_of_listed(fields, "u", "b")
    assert found is not None
    assert found["title"] == "B"
    assert fields_of_listed(fields, "other", "b") is None


def test_secrets_are_masked_by_path() -> None:
    data = {"a": "s", "b": {"x": 1, "y": {"z": 2}}, "c": {"d": [1], "e": 2}, "l": [{"x": 1}], "n": None, "k.m": 3}
    assert masked(data, PATHS) == {
        "a": MASK,
        "b": {"x": MASK, "y": {"z": MASK}},
        "c": {"d": MASK, "e": 2},
        "l": MASK,
        "n": None,
        "k.m": 3,
    }
    assert masked({"a": None}, PATHS) == {"a": None}
    assert masked({"a": {"deep": "s"}}, PATHS) == {"a": MASK}, "a secret that is an object hides all of it"


def test_what_was_read_without_secrets_and_sent_back_changes_none() -> None:
    current = {"a": "s", "b": {"x": 1, "y": {"z": 2}}, "c": {"d": [1]}}
    assert unmasked({"a": MASK}, current, PATHS) == {"a": "s"}
    assert unmasked({"a": "new"}, current, PATHS) == {"a": "new"}
    assert unmasked({"b": {"x": MASK, "y": {"z": 5}, "new": MASK}}, current, PATHS) == {
        "b": {"x": 1, "y": {"z": 5}, "new": MASK}
    }
    assert unmasked({"q": MASK}, current, PATHS) == {"q": MASK}, "of what is not secret, asterisks are asterisks"


KEYS = st.sampled_from(["a", "b", "c"])
DATA = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)


@given(
    st.dictionaries(KEYS, DATA, max_size=3),
    st.lists(st.lists(KEYS | st.just("*"), min_size=1, max_size=3).map(".".join), max_size=3),
)
def test_a_round_trip_through_the_mask_loses_nothing_that_a_mask_stood_for(data: dict[str, Any], paths: list[str]) -> None:
    """Whatever is masked on the way out is itself again when it comes back unchanged, but for nulls and empty objects."""
    fields = {"secret_fields": paths}
    back = unmasked(masked(data, fields), data, fields)
    assert masked(back, fields) == masked(data, fields)
    if not paths:
        assert back == data


def test_other_documents_are_told_from_what_a_document_holds_itself() -> None:
    own, held = split({"a": 1, "b": {"$ref": {"block_document_id": "x"}}, "c": {"d": {"$ref": {}}}})
    assert own == {"a": 1, "c": {"d": {"$ref": {}}}}
    assert held == {"b": "x"}
    for value in ({"$ref": {}}, {"$ref": "x"}, {"$ref": None}):
        with pytest.raises(BadRequest, match="without a block_document_id in key b"):
            split({"b": value})
