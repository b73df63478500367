"""Templates of messages: which can be read."""

import pytest

from headgate.core.message_templates import check
from headgate.errors import BrokenTemplate

BROKEN = "1 - {{ hello }} world!\n2 - oops, this {{ ain't } gonna work\n3 - this is fine"
LOOP, END = "{% for i in x %}", "{% endfor %}"


@pytest.mark.parametrize(
    "template", ["", "hello", "\n  {{ hello | unheard_of }} world!\n", "{{ '<b>' }}", 10 * (LOOP + END), 2 * LOOP + 2 * END]
)
def test_what_can_be_read_is_fine(template: str) -> None:
    check(template)


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        (BROKEN, 2, 'unexpected char "\'" at 44'),
        ("x\n{% if %}", 2, "Expected an expression, got 'end of statement block'"),
        (11 * (LOOP + END), 0, "Contains 11 for loops. Templates can contain no more than 10 for loops."),
        (
            3 * LOOP + 3 * END,
            0,
            "Contains nested for loops at a depth of 3. Templates can nest for loops no more than 2 loops deep.",
        ),
        ("{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", 0, "is nested too deeply"),
    ],
)
def test_what_cannot_be_read_says_where(template: str, line: int, words: str) -> None:
    with pytest.raises(BrokenTemplate) as caught:
        check(template)
    assert (str(caught.value), caught.value.line, caught.value.source) == (words, line, template)
