"""The scenarios, one a file, in the order in which they are run and reported."""

from bench.scenarios.create import Create
from bench.scenarios.poll import Poll
from bench.scenarios.transitions import Transitions
from bench.shape import Scenario

SCENARIOS: tuple[type[Scenario], ...] = (Create, Transitions, Poll)
NAMES = tuple(each.name for each in SCENARIOS)
