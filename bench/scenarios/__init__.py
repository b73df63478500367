"""The scenarios, one a file, in the order in which they are run and reported."""

from bench.scenarios.bulk import Bulk
from bench.scenarios.burst import Burst
from bench.scenarios.create import Create
from bench.scenarios.drain import Drain
from bench.scenarios.floor_commit import FloorCommit
from bench.scenarios.floor_http import FloorHttp
from bench.scenarios.help import Help
from bench.scenarios.history import History
from bench.scenarios.idle import Idle
from bench.scenarios.limit import Limit
from bench.scenarios.logs import Logs
from bench.scenarios.poll import Poll
from bench.scenarios.queries import Queries
from bench.scenarios.recovery import Recovery
from bench.scenarios.schedules import Schedules
from bench.scenarios.size import Size
from bench.scenarios.slot import Slot
from bench.scenarios.soak import Soak
from bench.scenarios.start import Start
from bench.scenarios.transitions import Transitions
from bench.scenarios.trigger import Trigger
from bench.shape import Scenario

SCENARIOS: tuple[type[Scenario], ...] = (
    Create,
    Bulk,
    Transitions,
    Poll,
    Drain,
    Limit,
    Slot,
    Recovery,
    Trigger,
    Burst,
    Schedules,
    Soak,
    Logs,
    Queries,
    History,
    Start,
    Idle,
    Help,
    Size,
    FloorHttp,
    FloorCommit,
)
NAMES = tuple(each.name for each in SCENARIOS)
