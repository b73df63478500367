"""What the figures were measured on: they mean little without."""

import os
import platform
import sqlite3
from pathlib import Path

import psutil
from msgspec import Struct


class Machine(Struct, frozen=True, kw_only=True):
    """A machine, and what else it had to do."""

    cores: int
    processor: str
    memory_gigabytes: float
    kernel: str
    python: str
    sqlite: str
    load_before: float
    """The average number of programs that wanted to run in the minute before: what others took of the machine."""

    @property
    def is_busy(self) -> bool:
        """Whether other programs had so much to do that the figures are worth little."""
        return self.load_before > self.cores / 4


def describe() -> Machine:
    """This machine, now."""
    return Machine(
        cores=os.cpu_count() or 1,
        processor=_processor(),
        memory_gigabytes=round(psutil.virtual_memory().total / 1e9, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        load_before=round(psutil.getloadavg()[0], 2),
    )


def _processor() -> str:
    """The model, as Linux names it; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
