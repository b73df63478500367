"""Routes of templates of messages."""

from headgate.api.routing import Router, Text
from headgate.services import message_templates
from headgate.services.scope import Scope

router = Router(tag="Automations")


@router.post("/templates/validate", status=204)
async def validate_template(scope: Scope, body: Text) -> None:
    """Whether a template of a message can be read; the answer to one that cannot says where."""
    await message_templates.check(scope, body.content)


@router.post("/automations/templates/validate", status=204)
async def validate_template_of_automation(scope: Scope, body: Text) -> None:
    """The same, where older pages ask it."""
    await message_templates.check(scope, body.content)
