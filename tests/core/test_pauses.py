"""A pause starts once, says the last that was said of it, and is forgotten with the resume."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headgate.core.pauses import pause_after
from headgate.schema.pauses import Pause, PauseNote

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=2)
BEFORE = Pause(at=EARLIER, reason="db upgrade", by="ann")


def note(**fields: Any) -> PauseNote:
    return PauseNote(**{"pause_reason" if name == "reason" else "paused_by": text for name, text in fields.items()})


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({}, Pause(at=NOW)),
        ({"reason": "full disk"}, Pause(at=NOW, reason="full disk")),
        ({"by": "bob"}, Pause(at=NOW, by="bob")),
        ({"reason": "full disk", "by": "bob"}, Pause(at=NOW, reason="full disk", by="bob")),
        ({"reason": None, "by": ""}, Pause(at=NOW)),
    ],
)
def test_a_pause_starts_now_with_what_is_said(said: dict[str, Any], kept: Pause) -> None:
    assert pause_after(None, note(**said), was_paused=False, is_paused=True, now=NOW) == kept
    assert pause_after(BEFORE, note(**said), was_paused=False, is_paused=True, now=NOW) == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({}, BEFORE),
        ({"reason": "full disk"}, Pause(at=EARLIER, reason="full disk", by="ann")),
        ({"by": "bob"}, Pause(at=EARLIER, reason="db upgrade", by="bob")),
        ({"reason": None}, Pause(at=EARLIER, by="ann")),
        ({"reason": "", "by": None}, Pause(at=EARLIER)),
    ],
)
def test_a_note_on_what_stays_paused_replaces_what_it_names_and_not_since_when(said: dict[str, Any], kept: Pause) -> None:
    assert pause_after(BEFORE, note(**said), was_paused=True, is_paused=True, now=NOW) == kept


def test_what_was_paused_before_pauses_were_kept_is_paused_since_its_first_note() -> None:
    assert pause_after(None, note(), was_paused=True, is_paused=True, now=NOW) is None
    kept = pause_after(None, note(by="bob"), was_paused=True, is_paused=True, now=NOW)
    assert kept == Pause(at=NOW, by="bob")


@pytest.mark.parametrize("was_paused", [True, False])
@pytest.mark.parametrize("said", [{}, {"reason": "x", "by": "y"}])
def test_what_is_not_paused_has_no_pause(was_paused: bool, said: dict[str, Any]) -> None:
    assert pause_after(BEFORE, note(**said), was_paused=was_paused, is_paused=False, now=NOW) is None
