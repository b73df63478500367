"""Variables and secrets over HTTP: the ones in the wire's shape, the others with values that go in and never come out."""

import subprocess
import sys
from typing import Any

import pytest
from msgspec import structs

from headgate.settings import Settings

SECRET = "s3cret-value"


@pytest.fixture
def settings(settings: Settings, tmp_path: Any) -> Settings:
    return structs.replace(settings, home=str(tmp_path))


async def test_a_variable_has_the_wires_shape(api: Any) -> None:
    made = await api.post("/variables/", {"name": "my_region-1", "value": {"b": 1, "a": [None]}, "tags": ["x"]})
    assert made.status == 201
    assert list(made.json) == ["id", "created", "updated", "name", "value", "tags"]
    assert made.json["value"] == {"b": 1, "a": [None]}
    assert (await api.get("/variables/name/my_region-1")).json == made.json
    assert (await api.get(f"/variables/{made.json['id']}")).json == made.json
    assert (await api.post("/variables/filter", {"variables": {"name": {"any_": ["my_region-1"]}}})).json == [made.json]
    assert (await api.post("/variables/count", b"")).json == 1
    again = await api.post("/variables/", {"name": "my_region-1", "value": None})
    assert (again.status, again.json) == (409, {"detail": "A variable with the name 'my_region-1' already exists."})


@pytest.mark.parametrize("by", ["id", "name"])
async def test_a_variable_is_changed_and_deleted_by_its_id_or_its_name(api: Any, by: str) -> None:
    made = (await api.post("/variables/", {"name": "region", "value": "eu"})).json
    place = f"/variables/{made['id']}" if by == "id" else "/variables/name/region"
    assert (await api.patch(place, {"value": None})).status == 204
    assert (await api.get(place)).json["value"] is None
    assert (await api.delete(place)).status == 204
    for got in (await api.get(place), await api.patch(place, {}), await api.delete(place)):
        assert (got.status, got.json) == (404, {"detail": "Variable not found."})


@pytest.mark.parametrize("noun", ["variables", "secrets"])
@pytest.mark.parametrize("name", ["", "Region", "re gion", "r.x", "ü", "a/b", "x" * 256])
async def test_a_name_that_no_reference_could_hold_is_refused(api: Any, noun: str, name: str) -> None:
    got = await api.post(f"/{noun}/", {"name": name, "value": "x"})
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", "name"]


async def test_a_secret_goes_in_and_does_not_come_out(api: Any) -> None:
    made = await api.post("/secrets/", {"name": "token", "value": SECRET})
    assert (made.status, set(made.json)) == (201, {"id", "created", "updated", "name"})
    assert (await api.get("/secrets/token")).json == made.json
    assert (await api.post("/secrets/filter", b"")).json == [made.json]
    assert (await api.post("/secrets/count", {"secrets": {"name": {"any_": ["token"]}}})).json == 1
    assert (await api.post("/secrets/", {"name": "token", "value": "other"})).status == 409
    api.clock.advance(seconds=1)
    assert (await api.patch("/secrets/token", {"value": "other"})).status == 204
    assert (await api.get("/secrets/token")).json["updated"] > made.json["updated"]
    assert (await api.delete("/secrets/token")).status == 204
    for got in (await api.get("/secrets/token"), await api.patch("/secrets/token", {"value": "x"})):
        assert (got.status, got.json) == (404, {"detail": "Secret not found"})


@pytest.mark.parametrize(
    "body",
    [
        {"name": "No Name", "value": SECRET},
        {"value": SECRET},
        {"name": "token", "value": {"nested": SECRET}},
        {"name": "token", "value": [SECRET]},
        {"name": "token", "value": f"{SECRET}\0"},
        {"name": 5, "value": SECRET},
        f'{{"name": "token", "value": "{SECRET}"'.encode(),
        [SECRET],
    ],
)
async def test_a_refusal_does_not_send_the_secret_back(api: Any, body: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does the server log it; what is wrong is said all the same."""
    for got in (await api.post("/secrets/", body), await api.patch("/secrets/token", body)):
        assert got.status in (404, 422)
        assert SECRET.encode() not in got.body
        assert got.status == 404 or got.json["exception_detail"][0]["msg"]
    assert SECRET not in caplog.text


async def test_a_key_that_is_none_is_told_to_whoever_writes_a_secret(
    tmp_path: Any, sqlite_template: Any, settings: Settings, api: Any
) -> None:
    (tmp_path / "encryption.key").write_text("no key")
    got = await api.post("/secrets/", {"name": "token", "value": SECRET})
    assert got.status == 501
    assert "encryption.key does not hold a key: 32 bytes in base64" in got.json["exception_message"]


def test_a_server_does_not_import_what_encrypts_before_it_is_used() -> None:
    code = "import sys, headgate.server; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "headgate.services.encryption" in loaded
    assert not [module for module in loaded if module.partition(".")[0] in ("cryptography", "cffi")]


async def test_variables_are_found_by_patterns_and_hold_no_more_than_existing_servers_take(any_api: Any) -> None:
    for name in ("my_var", "myxvar", "other"):
        assert (await any_api.post("/variables/", {"name": name, "value": "x" * 4998})).status == 201
    for like, found in (("MY_V", 2), ("m%r", 2), ("y_va", 2), ("ther", 1), ("\\", 0), ("", 3)):
        asked = {"variables": {"name": {"like_": like}}}
        assert (await any_api.post("/variables/count", asked)).json == found, like
    for got in [
        await any_api.post("/variables/", {"name": "long", "value": "x" * 4999}),
        await any_api.patch("/variables/name/my_var", {"value": ["x" * 4998]}),
    ]:
        assert got.status == 422
        assert got.json["exception_detail"][0]["loc"] == ["body", "value"]
    for value in ("eu", 5, {"eu": 1}):
        await any_api.post("/variables/", {"name": f"v{len(str(value))}", "value": value})
    for condition, found in (({"any_": ["eu", "5"]}, 2), ({"like_": "e_"}, 2), ({"like_": "EU"}, 2), ({"any_": []}, 0)):
        assert (await any_api.post("/variables/count", {"variables": {"value": condition}})).json == found, condition
    taken = await any_api.patch("/variables/name/my_var", {"name": "other"})
    assert taken.status == 409


async def test_refusals_of_variables_are_told_in_the_words_that_existing_clients_know(api: Any) -> None:
    made = (await api.post("/variables/", {"name": "region", "value": "eu", "tags": ["x"]})).json
    for body, words in (
        ({"name": "MY_VARIABLE", "value": 1}, "must only contain lowercase letters, numbers, and dashes or underscores."),
        ({"name": "x\n", "value": 1}, "must only contain lowercase letters"),
        ({"name": "v" * 256, "value": 1}, "Value should have at most"),
        ({"name": "long", "value": "x" * 4999}, "Variable value must be less than"),
    ):
        for got in (await api.post("/variables/", body), await api.patch(f"/variables/{made['id']}", body)):
            assert got.status == 422
            assert words in got.json["exception_detail"][0]["msg"]
    assert (await api.patch("/variables/name/region", {"name": "region", "value": None, "tags": None})).status == 409
    assert (await api.get("/variables/name/region")).json == made
