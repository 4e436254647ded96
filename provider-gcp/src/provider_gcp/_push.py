"""How a push changes a secret, and how what was pushed goes away.

What is pushed into a new secret is marked by the label `managed-by: external-secrets`. A secret without the mark is not
ours: it is never replaced as a whole, never marked afterwards and never deleted. Only a single property may be added to
it, because the PushSecret names it, and its other properties stay.

Secret Manager can't compare and set a payload. Within this process, changes of one secret come one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.cloud import secretmanager_v1 as google
from provider_common import (
    ConflictError,
    InvalidRequestError,
    NoSecretError,
    PushData,
    PushRemoteRef,
    TemporaryError,
    TooLargeError,
    gjson,
)
from provider_common.values import with_property, without_property

from provider_gcp._client import AlreadyThereError, SecretManager
from provider_gcp.spec import PushMetadata

OWNER_KEY = "managed-by"
OWNER = "external-secrets"
LARGEST_PAYLOAD = 65536
"""Bytes; Google's limit."""


def push(secrets: SecretManager, data: PushData) -> None:
    """Write `data` as a new version, unless the latest one says the same."""
    key, value = data.remote_key, data.value()
    if data.property and data.metadata.strip() not in (b"", b"null"):
        # Before anything is made: the metadata is of the whole secret, a property is only a part of it.
        raise InvalidRequestError(
            f"A push of one property of {key!r} can't carry metadata: remove metadata or property from the PushSecret"
        )
    options = data.options(PushMetadata)
    _check_payload(key, _with_property(data, b"", value) if data.property else value)
    with secrets.writing(key):
        secret = _get_or_create(secrets, key, options)
        if not data.property:
            _check_owner(key, secret)
            if data.metadata.strip() not in (b"", b"null"):
                _describe(secrets, key, secret, options)
        _write(secrets, data, value)


def delete(secrets: SecretManager, ref: PushRemoteRef) -> None:
    """Remove what was pushed. What is absent or not ours stays as it is."""
    key = ref.remote_key
    with secrets.writing(key):
        try:
            secret = secrets.get(key)
            if not _is_ours(secret):
                return
            if ref.property:
                old = secrets.access(key)
                new = without_property(old, ref.property)
                if new == old:
                    return
                if new is not None:
                    _check_payload(key, new)
                    secrets.add_version(key, new)
                    return
            secrets.delete(key, secret.etag)
        except NoSecretError:
            return


def _get_or_create(secrets: SecretManager, key: str, options: PushMetadata) -> google.Secret:
    try:
        return secrets.get(key)
    except NoSecretError:
        pass
    try:
        return secrets.create(key, _new_secret(options, regional=secrets.regional))
    except AlreadyThereError:
        # Somebody was faster: whether it is ours is looked at as ever.
        try:
            return secrets.get(key)
        except NoSecretError:
            raise TemporaryError(f"Secret {key!r} comes and goes while it is written") from None


def _new_secret(options: PushMetadata, *, regional: bool) -> google.Secret:
    secret = google.Secret(
        labels={**options.labels, OWNER_KEY: OWNER},
        annotations=options.annotations,
        topics=_topics(options.topics or ()),
    )
    key_name = options.cmek_key_name
    encryption = google.CustomerManagedEncryption(kms_key_name=key_name) if key_name else None
    if regional:
        # A regional secret is where it is, and has its key itself.
        if encryption is not None:
            secret.customer_managed_encryption = encryption
        return secret
    locations = options.replication_locations or (
        (options.replication_location,) if options.replication_location else ()
    )
    kind = google.Replication
    if locations:
        replica = kind.UserManaged.Replica
        replicas = [
            replica(location=location, customer_managed_encryption=encryption) for location in locations
        ]
        secret.replication = kind(user_managed=kind.UserManaged(replicas=replicas))
    else:
        secret.replication = kind(automatic=kind.Automatic(customer_managed_encryption=encryption))
    return secret


def _topics(names: Iterable[str]) -> list[google.Topic]:
    return [google.Topic(name=name) for name in names]


def _describe(secrets: SecretManager, key: str, secret: google.Secret, options: PushMetadata) -> None:
    """Labels, annotations and topics as the metadata says. Without metadata they are left alone."""
    old_labels, old_annotations = dict(secret.labels), dict(secret.annotations)
    labels = {**options.labels, **(old_labels if options.merge_policy == "Merge" else {}), OWNER_KEY: OWNER}
    wanted = google.Secret(name=secrets.name(key), etag=secret.etag)
    changed = []
    if labels != old_labels:
        wanted.labels = labels
        changed.append("labels")
    if dict(options.annotations) != old_annotations:
        wanted.annotations = options.annotations
        changed.append("annotations")
    if options.topics is not None and list(options.topics) != [topic.name for topic in secret.topics]:
        wanted.topics = _topics(options.topics)
        changed.append("topics")
    if changed:
        secrets.update(key, wanted, changed)


def _write(secrets: SecretManager, data: PushData, value: bytes) -> None:
    key = data.remote_key
    try:
        old: bytes | None = secrets.access(key)
    except NoSecretError:
        old = None
    new = value
    if data.property:
        new = _with_property(data, old or b"", value)
        found = gjson.get(old or b"", data.property)
        if found is not None and found.bytes() == value:
            return
        _check_payload(key, new)
    if new != old:
        secrets.add_version(key, new)


def _with_property(data: PushData, document: bytes, value: bytes) -> bytes:
    return with_property(document, data.property, value, what=f"secret {data.remote_key!r}")


def _check_payload(key: str, value: bytes) -> None:
    if not value:
        raise InvalidRequestError(f"Secret Manager takes no empty value (push of {key!r})")
    if len(value) > LARGEST_PAYLOAD:
        raise TooLargeError(
            f"The value for {key!r} has {len(value)} bytes; Secret Manager takes {LARGEST_PAYLOAD} at most"
        )


def _is_ours(secret: google.Secret) -> bool:
    return bool(secret.labels.get(OWNER_KEY) == OWNER)


def _check_owner(key: str, secret: google.Secret) -> None:
    if not _is_ours(secret):
        raise ConflictError(
            f"Secret {key!r} was not made by External Secrets: it is left as it is. To hand it over, set its label"
            f" {OWNER_KEY}={OWNER}"
        )
