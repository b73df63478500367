"""What block documents hold, on its way to and from how it is kept."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headgate.core import blocks
from headgate.schema.block_schemas import BlockSchema
from headgate.services.encryption import keyring
from headgate.services.scope import Scope
from headgate.store.block_documents import Kept


def sealed(scope: Scope, own: Mapping[str, Any], schema: BlockSchema) -> tuple[str, bool]:
    """`own` as it is kept, and whether that is sealed.

    A server on PostgreSQL that was given no key keeps documents in the clear whose schema says of nothing that it is
    secret, and `NotConfigured` says for all others that it needs one.
    """
    text = msgspec.json.encode(own).decode()
    keys = keyring(scope)
    if not keys.is_given and not blocks.secret_paths(schema.fields):
        return text, False
    return keys.seal(text), True


def unsealed(scope: Scope, document: Kept) -> dict[str, Any]:
    """What a document holds itself, in the clear; `NotConfigured` when the server has lost its key."""
    text = keyring(scope).unseal_block(document.data, document.name) if document.is_sealed else document.data
    data: dict[str, Any] = msgspec.json.decode(text)
    return data
