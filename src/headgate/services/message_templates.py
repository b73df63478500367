"""Use cases of templates of messages."""

import asyncio

from headgate.core import message_templates
from headgate.services.scope import Scope


async def check(_scope: Scope, template: str) -> None:
    """`BrokenTemplate` for one that could not be rendered."""
    # In a thread: the first look imports the parser, and a template may be long.
    await asyncio.to_thread(message_templates.check, template)
