"""Google's metadata server: where the provider runs, asked only when the spec does not say it."""

from __future__ import annotations

import os
from typing import Any

from provider_common import Context, CredentialsError, DeadlineError, TemporaryError

PATIENCE = 5.0


def project_id(ctx: Context[Any]) -> str:
    """The project that the provider runs in."""
    return _ask(ctx, "project/project-id", "projectID")


def cluster_location(ctx: Context[Any]) -> str:
    """The location of the GKE cluster that the provider runs in."""
    return _ask(ctx, "instance/attributes/cluster-location", "clusterLocation")


def cluster_name(ctx: Context[Any]) -> str:
    """The name of the GKE cluster that the provider runs in."""
    return _ask(ctx, "instance/attributes/cluster-name", "clusterName")


def _ask(ctx: Context[Any], path: str, field: str) -> str:
    # These don't change while a process lives. A failure is not kept.
    return ctx.shared(("gcp-metadata", path), lambda: _get(ctx, path, field))


def _get(ctx: Context[Any], path: str, field: str) -> str:
    from provider_gcp._http import Http

    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    try:
        answer = Http(ctx)(
            f"http://{host}/computeMetadata/v1/{path}",
            headers={"Metadata-Flavor": "Google"},
            timeout=PATIENCE,
        )
    except DeadlineError:
        raise
    except TemporaryError:
        raise TemporaryError(
            f"Google's metadata server can't be asked: outside Google Cloud, give {field}"
        ) from None
    text = answer.data.decode(errors="replace").strip()
    if answer.status != 200 or not text:
        raise CredentialsError(f"Google's metadata server answers {answer.status} for {path}: give {field}")
    return text
