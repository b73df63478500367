"""What an installation brings."""

from bench.environments import FOLDER, Environment, install_ours
from bench.shape import Figure, Scenario


class Size(Scenario):
    """The distributions of an installation with PostgreSQL's driver, and their size on disk, without bytecode and pip."""

    name = "size"
    rounds = 1
    databases = ()
    needs_server = False

    def prepare(self) -> None:
        if self.system.side.is_ours:
            self.environment = install_ours(FOLDER, print)
        else:
            self.environment = Environment(self.system.side.environment_path)

    def run(self) -> None:
        self.count, self.megabytes = self.environment.count(), self.environment.megabytes()

    def measure(self) -> list[Figure]:
        return [
            Figure(name="distributions", value=self.count, unit="packages", target=40),
            Figure(name="on disk", value=self.megabytes, unit="MB", target=70),
        ]
