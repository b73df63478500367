"""What retention counts."""

from msgspec import Struct


class Amounts(Struct, frozen=True, kw_only=True):
    """How many records of each kind are too old, or were deleted."""

    flow_runs: int = 0
    task_runs: int = 0
    states: int = 0
    log_lines: int = 0
    events: int = 0
    workers: int = 0
    agents: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        """Both together."""
        return Amounts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    @property
    def total(self) -> int:
        """All kinds together."""
        return sum(getattr(self, name) for name in self.__struct_fields__)
