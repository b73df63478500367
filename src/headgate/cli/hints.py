"""What to say about a word that nobody knows."""

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED = 25


def hint(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what was perhaps meant, or what there is."""
    known = list(known)
    close = get_close_matches(word, known, n=1) or [name for name in known if word.lower() in name.lower()][:3]
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    if len(known) > _LISTED:
        return "."
    return f"; there is {', '.join(known)}." if known else "; there are none."
