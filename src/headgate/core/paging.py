"""Pages by number."""


def pages_of(count: int, limit: int) -> int:
    """How many pages of `limit` records `count` of them fill; of pages without any records there are none."""
    return -(-count // limit) if limit else 0
