"""What a worker or an agent says about work that does not come: once when it stops coming, once when it comes again."""

import logging
from collections.abc import Iterable

from headgate.errors import HeadgateError
from headgate.schema.claims import PolledPool
from headgate.worker.channel import is_transient


class Notices:
    """Remembers what it has said; `paused` are the pools that it has said are."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._trouble: str | None = None
        self.paused: frozenset[str] = frozenset()
        self._held: set[str] = set()
        self._said: set[str] = set()

    def trouble(self, error: Exception) -> None:
        """A call failed for a reason that does not pass by itself; the channel speaks of outages."""
        text = str(error) or type(error).__name__
        if not is_transient(error) and text != self._trouble:
            self._trouble = text
            unforeseen = None if isinstance(error, HeadgateError) else error
            self._logger.error("Nothing is picked up: %s It is tried again.", text, exc_info=unforeseen)

    def answered(self, pools: Iterable[PolledPool], held: Iterable[str] | None) -> None:
        """A look for work succeeded: these pools were looked into, and these sentences say why due runs are held back.

        None: the look could not tell.
        """
        self._trouble = None
        self._note_paused(frozenset(pool.name for pool in pools if pool.paused))
        if held is not None:
            self._note_held(list(held))

    def once(self, level: int, text: str) -> None:
        """Say this, and never again."""
        if text not in self._said:
            self._said.add(text)
            self._logger.log(level, "%s", text)

    def _note_paused(self, paused: frozenset[str]) -> None:
        for name in sorted(paused - self.paused):
            self._logger.warning("Work pool %r is paused: nothing is picked up until it is resumed.", name)
        for name in sorted(self.paused - paused):
            self._logger.info("Work pool %r is resumed.", name)
        self.paused = paused

    def _note_held(self, held: list[str]) -> None:
        for sentence in held:
            if sentence not in self._held:
                self._logger.info("%s", sentence)
        if self._held and not held:
            self._logger.info("No due run is held back any more.")
        self._held = set(held)
