"""Names of Google's that become part of addresses and resource names, and so must not hold anything else."""

from typing import Annotated

from pydantic import StringConstraints

ProjectID = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][-a-z0-9.:]*$", max_length=100)]
Location = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
