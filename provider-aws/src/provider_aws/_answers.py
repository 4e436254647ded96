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
    if response_dict["status_code"] >= 300:
        return
    text, shape = body.strip(), operation_model.output_shape
    match operation_model.service_model.resolved_protocol:
        case "json":
            nothing = not text and (shape is None or not shape.members)
            whole = nothing or (text.startswith(b"{") and text.endswith(b"}"))
        case "query":  # STS
            name = operation_model.name.encode()
            whole = b"<%bResult" % name in text and text.endswith(b"</%bResponse>" % name)
        case _:
            whole = True
    if not whole:
        raise TemporaryError(_FOREIGN)


def check_answered(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    """A handler of botocore's `after-call`. Raises TemporaryError for an answer in which there is nothing of what AWS
    answers to this operation: AWS names a list that is empty, too.
    """
    shape = model.output_shape
    if http_response.status_code >= 300 or shape is None or not shape.members:
        return
    if not parsed.keys() - {"ResponseMetadata"}:
        raise TemporaryError(_FOREIGN)


_FOREIGN = "An answer is not one of AWS: check the endpoint, and any proxy on the way"
