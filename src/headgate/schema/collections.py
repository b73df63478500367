"""What a server knows of worker types and blocks, in the shape in which existing clients look it up."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

WorkerCollections = Mapping[str, Mapping[str, "WorkerMetadata"]]
"""Worker types by the package that brings them, and by name."""


class WorkerMetadata(Struct, kw_only=True):
    """A worker type: what it is for, and the template of new pools of it."""

    type: str
    display_name: str
    description: str
    documentation_url: str | None = None
    logo_url: str | None = None
    install_command: str
    is_beta: bool = False
    default_base_job_configuration: dict[str, Any]
