"""Names of Google's that become part of addresses and resource names, and so must not hold anything else."""

import re
from typing import Annotated

from pydantic import StringConstraints

ProjectID = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][-a-z0-9.:]*$", max_length=100)]
Location = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


def is_project(name: object) -> bool:
    """True for what can be a project, and so goes into the headers of a request."""
    return isinstance(name, str) and re.fullmatch(r"[a-z0-9][-a-z0-9.:]{0,99}", name) is not None
