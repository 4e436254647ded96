"""Whether an answer is whole. botocore reads an answer that breaks off, or a proxy's page, as an empty success: a find would
then find nothing, and its user's Secret would be emptied.
"""

from __future__ import annotations

from typing import Any

from provider_common import TemporaryError


def check_whole(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """A handler of botocore's `before-parse`. Raises TemporaryError for an answer that is not all of AWS's."""
    body: bytes = response_dict["body"]
    headers = response_dict["headers"]
    length = str(headers.get("content-length", ""))
    if length.isdigit() and len(body) < int(length) and not headers.get("content-encoding"):
        raise TemporaryError("An answer of AWS breaks off")
    if response_dict["status_code"] >= 300 or operation_model.service_model.resolved_protocol != "json":
        return
    text = body.strip()
    if text.startswith(b"{") and text.endswith(b"}"):
        return
    shape = operation_model.output_shape
    if text or (shape is not None and shape.members):
        raise TemporaryError("An answer is not one of AWS: check the endpoint, and any proxy on the way")
