"""Calls about templates of messages."""

from headgate.client.call import Call


def check(body: str) -> Call[None]:
    """Whether a template can be read."""
    return Call("POST", "/templates/validate", body=body)


def check_of_automation(body: str) -> Call[None]:
    """The same, where older pages ask it."""
    return Call("POST", "/automations/templates/validate", body=body)
