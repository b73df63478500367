"""Blocks over HTTP: types, schemas and documents as existing clients keep and look them up."""

from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from headgate.core.blocks import MASK, checksum
from headgate.settings import Settings

FIELDS = {"title": "Creds", "type": "object", "properties": {"user": {}, "token": {}}, "secret_fields": ["token", "extra.*"]}
NOBODY = str(uuid4())


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return structs.replace(settings, server_encryption_key="k" * 43 + "=")


async def made(api: Any, path: str, body: Any, status: int = 201) -> Any:
    got = await api.post(path, body)
    assert got.status == status, got.json
    return got.json


async def kind(api: Any, slug: str = "creds", **fields: Any) -> Any:
    return await made(api, "/block_types/", {"name": slug.title(), "slug": slug, **fields})


async def schema(api: Any, of: Any, fields: Any = FIELDS, **more: Any) -> Any:
    return await made(api, "/block_schemas/", {"block_type_id": of["id"], "fields": fields, **more})


async def document(api: Any, of: Any, name: str | None = "mine", data: Any = None, **more: Any) -> Any:
    body = {"name": name, "data": data or {}, "block_schema_id": of["id"], "block_type_id": of["block_type_id"], **more}
    return await made(api, "/block_documents/", body)


async def names(api: Any, body: Any = b"", path: str = "/block_documents/filter") -> list[str]:
    return [each["name"] for each in await made(api, path, body, 200)]


async def data(api: Any, of: Any, *, secrets: bool = True) -> Any:
    return (await api.get(f"/block_documents/{of['id']}?include_secrets={str(secrets).lower()}")).json["data"]


class TestTypes:
    async def test_one_is_made_read_changed_and_deleted(self, any_api: Any) -> None:
        first = await kind(any_api, logo_url="http://x/y.png", description="a <b>", code_example="1 < 2")
        assert list(first) == [
            "id",
            "created",
            "updated",
            "name",
            "slug",
            "logo_url",
            "documentation_url",
            "description",
            "code_example",
            "is_protected",
        ]
        assert (first["description"], first["code_example"]) == ("a &lt;b&gt;", "1 &lt; 2")
        for path in (f"/block_types/{first['id']}", "/block_types/slug/creds"):
            assert (await any_api.get(path)).json == first
        any_api.clock.advance(seconds=5)
        await any_api.patch(f"/block_types/{first['id']}", {"logo_url": "http://x/y.png"})
        assert (await any_api.get("/block_types/slug/creds")).json == first, "nothing changed, so nothing is written"
        assert (await any_api.patch(f"/block_types/{first['id']}", {"logo_url": None, "description": "b"})).status == 204
        changed = (await any_api.get("/block_types/slug/creds")).json
        assert (changed["logo_url"], changed["description"], changed["code_example"]) == (None, "b", "1 &lt; 2")
        assert changed["updated"] > first["updated"]
        assert (await any_api.delete(f"/block_types/{first['id']}")).status == 204
        for got in [
            await any_api.get(f"/block_types/{first['id']}"),
            await any_api.get("/block_types/slug/creds"),
            await any_api.patch(f"/block_types/{first['id']}", {}),
            await any_api.delete(f"/block_types/{first['id']}"),
            await any_api.get("/block_types/slug/creds/block_documents"),
        ]:
            assert (got.status, got.json) == (404, {"detail": "Block type not found"})

    async def test_slugs_are_unique_and_some_names_are_reserved(self, any_api: Any) -> None:
        await kind(any_api)
        again = await any_api.post("/block_types/", {"name": "Other", "slug": "creds"})
        assert (again.status, again.json) == (409, {"detail": 'Block type with name "Other" already exists'})
        for name in ("Prefect", "pReFeCt thing"):
            got = await any_api.post("/block_types/", {"name": name, "slug": "x"})
            assert (got.status, got.json) == (403, {"detail": "Block type names beginning with 'Prefect' are reserved."})

    @pytest.mark.parametrize(
        ("name", "slug"), [("a%b", "x"), ("a/b", "x"), ("", "x"), ("x", "bad slug"), ("x", "X"), ("x", "")]
    )
    async def test_a_name_or_slug_with_other_signs_is_refused(self, api: Any, name: str, slug: str) -> None:
        assert (await api.post("/block_types/", {"name": name, "slug": slug})).status == 422

    async def test_they_are_found_by_name_slug_and_what_their_schemas_can_do(self, any_api: Any) -> None:
        for slug, abilities in (("duck", ["fly", "swim"]), ("bird", ["fly"]), ("cat", ["run"])):
            await schema(any_api, await kind(any_api, slug), {"title": slug}, capabilities=abilities)
        path = "/block_types/filter"
        assert await names(any_api, path=path) == ["Bird", "Cat", "Duck"]
        assert await names(any_api, {"limit": 1, "offset": 1}, path) == ["Cat"]
        assert await names(any_api, {"block_types": {"name": {"like_": "c"}}}, path) == ["Cat", "Duck"]
        assert await names(any_api, {"block_types": {"slug": {"any_": ["duck", "x"]}}}, path) == ["Duck"]
        can = {"block_schemas": {"block_capabilities": {"all_": ["fly"]}}}
        assert await names(any_api, can, path) == ["Bird", "Duck"]
        can["block_schemas"]["block_capabilities"]["all_"].append("swim")
        assert await names(any_api, can, path) == ["Duck"]
        assert (await any_api.get("/block_capabilities/")).json == ["fly", "run", "swim"]

    async def test_the_systems_own_are_protected(self, any_api: Any) -> None:
        for _ in range(2):
            got = await any_api.post("/block_types/install_system_block_types")
            assert (got.status, got.json) == (200, None)
        own = await made(any_api, "/block_types/filter", {}, 200)
        assert [(each["slug"], each["is_protected"]) for each in own] == [
            ("local-file-system", True),
            ("secret", True),
            ("webhook", True),
        ]
        schemas = await made(any_api, "/block_schemas/filter", {}, 200)
        assert len(schemas) == 3
        for each in schemas:
            assert each["checksum"] == checksum(each["fields"])
            got = await any_api.delete(f"/block_schemas/{each['id']}")
            assert (got.status, got.json) == (
                403,
                {"detail": "Block schemas for protected block types cannot be deleted."},
            )
        got = await any_api.delete(f"/block_types/{own[0]['id']}")
        assert (got.status, got.json) == (403, {"detail": "protected block types cannot be deleted."})
        assert (await any_api.patch(f"/block_types/{own[0]['id']}", {"description": "x"})).status == 204
        await schema(any_api, own[0], {"title": "of a client's own version"})

    async def test_one_that_a_client_has_made_becomes_protected(self, any_api: Any) -> None:
        mine = await kind(any_api, "secret", description="mine")
        await any_api.post("/block_types/install_system_block_types")
        got = (await any_api.get("/block_types/slug/secret")).json
        assert (got["id"], got["is_protected"], got["description"]) == (mine["id"], True, "mine")


class TestSchemas:
    async def test_one_is_made_once_and_found_by_its_checksum(self, any_api: Any) -> None:
        of = await kind(any_api)
        first = await schema(any_api, of, capabilities=["read"])
        assert first["checksum"] == checksum(FIELDS)
        assert first["fields"] == FIELDS | {"block_schema_references": {}}
        assert (first["version"], first["capabilities"], first["block_type"]) == ("non-versioned", ["read"], of)
        again = await made(any_api, "/block_schemas/", {"block_type_id": of["id"], "fields": FIELDS}, 200)
        assert again == first
        for path in (f"/block_schemas/{first['id']}", f"/block_schemas/checksum/{first['checksum']}"):
            assert (await any_api.get(path)).json == first

    async def test_of_several_versions_the_newest_is_meant_unless_one_is_named(self, any_api: Any) -> None:
        of = await kind(any_api)
        versions = {}
        for version in ("1.0.1", "1.1.0"):
            any_api.clock.advance(seconds=1)
            versions[version] = await schema(any_api, of, version=version)
        path = f"/block_schemas/checksum/{versions['1.0.1']['checksum']}"
        assert (await any_api.get(path)).json["version"] == "1.1.0"
        assert (await any_api.get(f"{path}?version=1.0.1")).json == versions["1.0.1"]
        assert (await any_api.get(f"{path}?version=2")).status == 404
        newest_first = await made(any_api, "/block_schemas/filter", {}, 200)
        assert [each["version"] for each in newest_first] == ["1.1.0", "1.0.1"]
        by = {"block_schemas": {"operator": "and_", "version": {"any_": ["1.0.1"]}, "id": None}}
        assert len(await made(any_api, "/block_schemas/filter", by, 200)) == 1
        by = {"block_schemas": {"block_type_id": {"any_": [NOBODY]}}}
        assert await made(any_api, "/block_schemas/filter", by, 200) == []

    async def test_the_schemas_that_one_lists_are_made_of_its_definitions(self, any_api: Any) -> None:
        of = await kind(any_api, "outer")
        definition = {"title": "Inner", "block_type_slug": "inner", "properties": {"x": {}}, "block_schema_references": {}}
        inner = checksum(definition)
        fields = {
            "title": "Outer",
            "properties": {"b": {"$ref": "#/definitions/Inner"}},
            "definitions": {"Inner": definition},
            "block_schema_references": {"b": {"block_type_slug": "inner", "block_schema_checksum": inner}},
        }
        body = {"block_type_id": of["id"], "fields": fields}
        got = await any_api.post("/block_schemas/", body)
        assert got.status == 409
        assert "'inner', which does not exist" in got.json["detail"]
        await kind(any_api, "inner")
        got = await any_api.post("/block_schemas/", body)
        assert (got.status, got.json["fields"]) == (201, fields)
        found = (await any_api.get(f"/block_schemas/checksum/{inner}")).json
        assert (found["block_type"]["slug"], found["fields"]["title"]) == ("inner", "Inner")
        lost = {
            **fields,
            "title": "Other",
            "definitions": {},
            "block_schema_references": {"b": {"block_type_slug": "inner"}},
        }
        assert (await any_api.post("/block_schemas/", {"block_type_id": of["id"], "fields": lost})).status == 409

    async def test_one_of_no_type_is_refused_and_a_missing_one_is_told(self, any_api: Any) -> None:
        got = await any_api.post("/block_schemas/", {"block_type_id": NOBODY, "fields": {}})
        assert (got.status, got.json) == (404, {"detail": f"Block type {NOBODY} not found."})
        for got in (await any_api.get(f"/block_schemas/{NOBODY}"), await any_api.delete(f"/block_schemas/{NOBODY}")):
            assert (got.status, got.json) == (404, {"detail": "Block schema not found"})

    async def test_documents_go_with_it(self, any_api: Any) -> None:
        of = await schema(any_api, await kind(any_api))
        await document(any_api, of)
        assert (await any_api.delete(f"/block_schemas/{of['id']}")).status == 204
        assert await names(any_api) == []


class TestDocuments:
    async def test_one_is_made_and_read_without_its_secrets(self, any_api: Any) -> None:
        of = await schema(any_api, await kind(any_api))
        kept = {"user": "me", "token": "hush", "extra": {"a": {"b": "hush"}}}
        shown = {"user": "me", "token": MASK, "extra": {"a": {"b": MASK}}}
        first = await document(any_api, of, data=kept)
        assert list(first) == [
            "id",
            "created",
            "updated",
            "name",
            "data",
            "block_schema_id",
            "block_schema",
            "block_type_id",
            "block_type_name",
            "block_type",
            "block_document_references",
            "is_anonymous",
        ]
        assert first["data"] == shown
        assert (first["block_schema"], first["block_type_name"], first["is_anonymous"]) == (of, "Creds", False)
        by_name = "/block_types/slug/creds/block_documents/name/mine"
        for path in (f"/block_documents/{first['id']}", by_name):
            assert (await any_api.get(path)).json == first
            assert (await any_api.get(f"{path}?include_secrets=true")).json["data"] == kept
        all_of_type = "/block_types/slug/creds/block_documents"
        assert (await any_api.get(all_of_type)).json == [first]
        assert (await any_api.get(f"{all_of_type}?include_secrets=True")).json[0]["data"] == kept
        assert (await made(any_api, "/block_documents/filter", {}, 200)) == [first]
        assert (await made(any_api, "/block_documents/filter", {"include_secrets": True}, 200))[0]["data"] == kept

    async def test_names_are_unique_within_a_type(self, any_api: Any) -> None:
        of, other = [await schema(any_api, await kind(any_api, slug), {"title": slug}) for slug in ("a", "b")]
        await document(any_api, of)
        await document(any_api, other)
        body = {"name": "mine", "block_schema_id": of["id"], "block_type_id": of["block_type_id"]}
        got = await any_api.post("/block_documents/", body)
        assert (got.status, got.json) == (409, {"detail": "Block already exists"})

    @pytest.mark.parametrize("name", [None, "", "my%block", "my block", "my|block", "Mine", "my_block"])
    async def test_a_document_needs_a_name_of_few_signs_and_a_refusal_shows_no_secret(self, api: Any, name: Any) -> None:
        of = await schema(api, await kind(api))
        body = {"name": name, "data": {"token": "hush"}, "block_schema_id": of["id"], "block_type_id": of["block_type_id"]}
        got = await api.post("/block_documents/", body)
        assert got.status == 422
        assert got.json["exception_detail"][0]["loc"] == ["body", "name"]
        assert b"hush" not in got.body

    async def test_anonymous_ones_get_a_name_and_are_found_only_when_asked_for(self, any_api: Any) -> None:
        of = await schema(any_api, await kind(any_api))
        nameless = [await document(any_api, of, None, is_anonymous=True) for _ in range(2)]
        assert all(each["name"].startswith("anonymous-") for each in nameless)
        assert nameless[0]["name"] != nameless[1]["name"]
        await document(any_api, of)
        assert await names(any_api) == ["mine"]
        assert await names(any_api, {"block_documents": {"id": None}}) == ["mine"]
        assert await made(any_api, "/block_documents/count", b"", 200) == 1
        for every in ({"is_anonymous": None}, {"is_anonymous": {"eq_": None}}):
            assert len(await names(any_api, {"block_documents": every})) == 3
        only = {"block_documents": {"is_anonymous": {"eq_": True}}}
        assert len(await names(any_api, only)) == 2
        assert await made(any_api, "/block_documents/count", only, 200) == 2
        assert (await any_api.get("/block_types/slug/creds/block_documents")).json[0]["name"] == "mine"
        found = await any_api.get(f"/block_types/slug/creds/block_documents/name/{nameless[0]['name']}")
        assert found.json == nameless[0]

    async def test_they_are_found_and_ordered(self, any_api: Any) -> None:
        schemas = {}
        for slug, abilities in (("b-type", ["fly"]), ("a-type", ["swim"])):
            schemas[slug] = await schema(any_api, await kind(any_api, slug), {"title": slug}, capabilities=abilities)
        for slug, name in (("b-type", "one"), ("b-type", "three"), ("a-type", "two")):
            await document(any_api, schemas[slug], name)
        assert await names(any_api) == ["one", "three", "two"]
        assert await names(any_api, {"sort": "NAME_DESC"}) == ["two", "three", "one"]
        assert await names(any_api, {"sort": "BLOCK_TYPE_AND_NAME_ASC"}) == ["two", "one", "three"]
        assert await names(any_api, {"limit": 1, "offset": 1}) == ["three"]
        assert await names(any_api, {"block_types": {"slug": {"any_": ["a-type"]}}}) == ["two"]
        assert await names(any_api, {"block_schemas": {"block_capabilities": {"all_": ["fly"]}}}) == ["one", "three"]
        assert await names(any_api, {"block_documents": {"name": {"like_": "T%E"}}}) == ["three"]
        assert await names(any_api, {"block_documents": {"name": {"any_": ["two", "one"]}}}) == ["one", "two"]
        either = {"operator": "or_", "name": {"any_": ["two"]}, "is_anonymous": {"eq_": True}}
        assert await names(any_api, {"block_documents": either}) == ["two"]
        of_type = {"block_documents": {"block_type_id": {"any_": [schemas["a-type"]["block_type_id"]]}}}
        assert await made(any_api, "/block_documents/count", of_type, 200) == 1
        too_many = await any_api.post("/block_documents/filter", {"limit": 201})
        assert (too_many.status, too_many.json["detail"][:14]) == (422, "Invalid limit:")

    async def test_a_change_sets_single_fields_or_all_of_them(self, any_api: Any) -> None:
        mine = await document(any_api, await schema(any_api, await kind(any_api)), data={"user": 1, "x": 2, "token": "hush"})
        path = f"/block_documents/{mine['id']}"
        assert (await any_api.patch(path, {"data": {"x": 3, "token": MASK}})).status == 204
        assert await data(any_api, mine) == {"user": 1, "x": 3, "token": "hush"}
        assert (await any_api.patch(path, {"data": {"token": "new"}})).status == 204
        assert await data(any_api, mine) == {"user": 1, "x": 3, "token": "new"}
        assert (await any_api.patch(path, {"data": {"token": MASK}, "merge_existing_data": False})).status == 204
        assert await data(any_api, mine) == {"token": "new"}
        assert (await any_api.patch(path, {"data": {}, "merge_existing_data": False})).status == 204
        assert await data(any_api, mine) == {}

    async def test_a_document_may_go_over_to_another_schema_of_its_type(self, any_api: Any) -> None:
        of = await kind(any_api)
        mine = await document(any_api, await schema(any_api, of), data={"token": "hush"})
        newer = await schema(any_api, of, {"title": "newer", "secret_fields": []})
        foreign = await schema(any_api, await kind(any_api, "other"), {"title": "foreign"})
        path = f"/block_documents/{mine['id']}"
        assert (await any_api.patch(path, {"block_schema_id": newer["id"], "data": {"a": 1}})).status == 204
        got = (await any_api.get(path)).json
        assert (got["block_schema"], got["data"]) == (newer, {"token": "hush", "a": 1})
        assert (await any_api.patch(path, {"block_schema_id": foreign["id"]})).status == 400
        assert (await any_api.patch(path, {"block_schema_id": NOBODY})).status == 409

    async def test_what_is_missing_is_told(self, any_api: Any) -> None:
        of = await schema(any_api, await kind(any_api))
        for got in [
            await any_api.get(f"/block_documents/{NOBODY}"),
            await any_api.patch(f"/block_documents/{NOBODY}", {"data": {}}),
            await any_api.delete(f"/block_documents/{NOBODY}"),
            await any_api.get("/block_types/slug/creds/block_documents/name/nobody"),
        ]:
            assert (got.status, got.json) == (404, {"detail": "Block document not found"})
        assert (await any_api.get("/block_documents/not-even")).status == 404
        body = {"name": "x", "block_type_id": of["block_type_id"], "block_schema_id": NOBODY}
        assert (await any_api.post("/block_documents/", body)).status == 409
        body = {"name": "x", "block_type_id": NOBODY, "block_schema_id": of["id"]}
        assert (await any_api.post("/block_documents/", body)).status == 404


def ref(to: Any) -> Any:
    return {"$ref": {"block_document_id": to["id"]}}


class TestDocumentsInDocuments:
    async def test_what_a_document_holds_is_shown_in_it_each_by_its_own_secrets(self, any_api: Any) -> None:
        of = await schema(any_api, await kind(any_api))
        inner = await document(any_api, of, "inner", {"user": "i", "token": "hush"})
        middle = await document(any_api, of, "middle", {"inner": ref(inner)})
        outer = await document(any_api, of, "outer", {"middle": ref(middle), "user": "o"})
        assert outer["data"] == {"user": "o", "middle": {"inner": {"user": "i", "token": MASK}}}
        assert await data(any_api, outer) == {"user": "o", "middle": {"inner": {"user": "i", "token": "hush"}}}
        about = {"id": inner["id"], "name": "inner", "block_type": of["block_type"], "is_anonymous": False}
        assert outer["block_document_references"]["middle"]["block_document"]["block_document_references"] == {
            "inner": {"block_document": about | {"block_document_references": {}}}
        }
        await any_api.patch(f"/block_documents/{inner['id']}", {"data": {"user": "j"}})
        assert (await data(any_api, outer, secrets=False))["middle"]["inner"]["user"] == "j"
        assert await names(any_api) == ["inner", "middle", "outer"]

    async def test_it_is_kept_replaced_and_let_go_with_the_field(self, any_api: Any) -> None:
        of = await schema(any_api, await kind(any_api))
        one, two = [await document(any_api, of, name, {"user": name}) for name in ("one", "two")]
        outer = await document(any_api, of, "outer", {"b": ref(one), "z": 1})
        path = f"/block_documents/{outer['id']}"
        await any_api.patch(path, {"data": {"z": 2}})
        assert await data(any_api, outer) == {"b": {"user": "one"}, "z": 2}, "a change of one field leaves the others"
        await any_api.patch(path, {"data": {"b": ref(two)}})
        assert await data(any_api, outer) == {"b": {"user": "two"}, "z": 2}
        await any_api.patch(path, {"data": {"b": {}}})
        got = (await any_api.get(path)).json
        assert (got["data"], got["block_document_references"]) == ({"b": {}, "z": 2}, {})
        await any_api.patch(path, {"data": {"b": ref(two)}})
        await any_api.patch(path, {"data": {"z": 3}, "merge_existing_data": False})
        assert await data(any_api, outer) == {"z": 3}

    async def test_a_document_that_is_deleted_leaves_those_that_held_it(self, any_api: Any) -> None:
        of = await schema(any_api, await kind(any_api))
        inner = await document(any_api, of, "inner")
        outer = await document(any_api, of, "outer", {"b": ref(inner), "z": 1})
        assert (await any_api.delete(f"/block_documents/{inner['id']}")).status == 204
        got = (await any_api.get(f"/block_documents/{outer['id']}")).json
        assert (got["data"], got["block_document_references"]) == ({"z": 1}, {})
        assert (await any_api.delete(f"/block_documents/{outer['id']}")).status == 204

    async def test_none_holds_itself_or_what_does_not_exist(self, any_api: Any) -> None:
        of = await schema(any_api, await kind(any_api))
        inner = await document(any_api, of, "inner")
        outer = await document(any_api, of, "outer", {"b": ref(inner)})
        for id, value, status in [
            (inner["id"], ref(outer), 400),
            (inner["id"], ref(inner), 400),
            (inner["id"], ref({"id": NOBODY}), 409),
            (inner["id"], ref({"id": "no id"}), 400),
            (inner["id"], {"$ref": {}}, 400),
        ]:
            got = await any_api.patch(f"/block_documents/{id}", {"data": {"x": value}})
            assert (got.status, list(got.json)) == (status, ["detail"])
        assert await data(any_api, inner) == {}


class TestStorageOfResults:
    async def test_a_block_that_writes_files_is_chosen_until_it_goes(self, any_api: Any) -> None:
        of = await kind(any_api)
        files = await document(any_api, await schema(any_api, of, {"title": "files"}, capabilities=["write-path"]), "files")
        chosen = {"default_result_storage_block_id": files["id"]}
        for after in ("/admin/storage", f"/block_documents/{files['id']}"):
            got = await any_api.put("/admin/storage", chosen)
            assert (got.status, got.json) == (200, chosen)
            assert (await any_api.get("/admin/storage")).json == chosen
            assert (await any_api.delete(after)).status == 204
            assert (await any_api.get("/admin/storage")).json == {"default_result_storage_block_id": None}

    @pytest.mark.parametrize("noun", ["block_types", "block_schemas"])
    async def test_it_goes_with_its_schema_or_type(self, any_api: Any, noun: str) -> None:
        of = await schema(any_api, await kind(any_api), capabilities=["write-path"])
        files = await document(any_api, of, "files")
        await any_api.put("/admin/storage", {"default_result_storage_block_id": files["id"]})
        await any_api.delete(f"/{noun}/{of['id'] if noun == 'block_schemas' else of['block_type_id']}")
        assert (await any_api.get("/admin/storage")).json == {"default_result_storage_block_id": None}

    async def test_another_block_is_refused(self, any_api: Any) -> None:
        other = await document(any_api, await schema(any_api, await kind(any_api)))
        got = await any_api.put("/admin/storage", {"default_result_storage_block_id": other["id"]})
        words = f"Block document {other['id']} cannot be used for result storage."
        assert (got.status, got.json) == (422, {"detail": words})
        got = await any_api.put("/admin/storage", {"default_result_storage_block_id": NOBODY})
        assert (got.status, got.json) == (404, {"detail": f"Block document {NOBODY} not found."})
        assert (await any_api.put("/admin/storage", {})).status == 422
