"""Templates of messages that automations and notifications hold: whether whoever renders them could read them."""

from typing import TYPE_CHECKING

from headgate.errors import BrokenTemplate

if TYPE_CHECKING:
    from jinja2.nodes import Node

MOST_LOOPS = 10
DEEPEST_LOOP = 2
"""How many loops existing servers render, and how deep in each other."""


def check(template: str) -> None:
    """`BrokenTemplate` for one that is no Jinja, or loops more than existing servers allow. Nothing is rendered."""
    # What parses templates takes longer to import than all else here, and few servers are ever asked.
    from jinja2 import Environment, TemplateSyntaxError, nodes

    try:
        parsed = Environment(autoescape=True).parse(template)
        loops = len(list(parsed.find_all(nodes.For)))
        depth = _depth(parsed, nodes.For)
    except TemplateSyntaxError as error:
        raise BrokenTemplate(error.message or "cannot be read", line=error.lineno, source=template) from None
    except RecursionError:
        raise BrokenTemplate("is nested too deeply", line=0, source=template) from None
    if loops > MOST_LOOPS:
        words = f"Contains {loops} for loops. Templates can contain no more than {MOST_LOOPS} for loops."
        raise BrokenTemplate(words, line=0, source=template)
    if depth > DEEPEST_LOOP:
        raise BrokenTemplate(
            f"Contains nested for loops at a depth of {depth}. Templates can nest for loops no more than "
            f"{DEEPEST_LOOP} loops deep.",
            line=0,
            source=template,
        )


def _depth(node: "Node", loop: "type[Node]") -> int:
    """How deep loops stand in each other, in a node."""
    inner = max((_depth(child, loop) for child in node.iter_child_nodes()), default=0)
    return inner + isinstance(node, loop)
