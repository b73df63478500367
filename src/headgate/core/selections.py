"""Selections: whether a filter says anything at all."""

from headgate.schema.filters import Filter, Operator


def constrains(filter: Filter | None) -> bool:
    """Whether a filter leaves anything out. One whose fields are alternatives does when each of them does."""
    if filter is None:
        return False
    given = {name: getattr(filter, name) for name in filter.__struct_fields__ if name != "operator"}
    found = [_leaves_out(name, value) for name, value in given.items() if value is not None]
    if getattr(filter, "operator", Operator.AND) is Operator.OR:
        return bool(found) and all(found)
    return any(found)


def _leaves_out(name: str, value: object) -> bool:
    if isinstance(value, Filter):
        return constrains(value)
    return value != [] or name == "any_"  # none of nothing, and all of nothing, is everything
