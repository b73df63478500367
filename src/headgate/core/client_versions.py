"""Which release of an existing client calls, by its user agent, for answers that older ones cannot read."""

import re

_CLIENT = re.compile(r"prefect/(\d+)\.(\d+)\.(\d+)")

NO_RESULT_STORAGE = (3, 3, 7)
"""The last release that refuses a work pool whose storage says where results go."""


def refuses_result_storage(user_agent: str) -> bool:
    """Whether the client fails at a work pool's `default_result_storage_block_id`, even at a null."""
    found = _CLIENT.match(user_agent)
    return found is not None and tuple(map(int, found.groups())) <= NO_RESULT_STORAGE
