"""Keeps the secrets that a run was granted out of what its worker says and passes on."""

import json
import re
from collections.abc import Iterable, Iterator

MASK = "********"
SHORTEST = 4
"""Characters below which a text is left alone: it would be found everywhere, and say less than its mask."""


class Masking:
    """Hides secrets in texts, also as JSON and Python write them, and the lines of one that has several."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        longest_first = sorted(found, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def __call__(self, text: str) -> str:
        """`text` without any of them."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


def _forms(secret: str) -> Iterator[str]:
    for text in {secret, secret.strip(), *secret.splitlines()}:
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield repr(text)[1:-1]
