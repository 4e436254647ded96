"""What the Secret becomes: template, then creation policy, then the marks by which it is known as ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eso_core.api.externalsecret import ExternalSecret, Template, TemplateFrom, TemplateSource, privileged
from eso_core.api.meta import EXTERNAL_SECRET_API_VERSION, Meta
from eso_core.api.secrets import OwnerReference, Secret
from eso_core.reconcile.due import (
    CREATED_BY_LABEL,
    DATA_HASH_ANNOTATION,
    MANAGED_LABEL,
    data_hash,
    owner_hash,
)
from eso_core.reconcile.errors import SyncError
from eso_core.reconcile.values import checked_keys, decode
from eso_core.reconcile.world import Managed, World
from eso_core.template import Template as GoTemplate
from eso_core.template import TemplateError, keys_and_values

# A copy of the whole ExternalSecret that kubectl leaves behind: no business of the Secret.
_NOT_COPIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Written:
    """The Secret to write, and which parts of it are ours."""

    secret: Secret
    managed: Managed


@dataclass(slots=True)
class _Rendered:
    data: dict[str, bytes] = field(default_factory=dict, repr=False)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict, repr=False)
    finalizers: tuple[str, ...] = ()
    type: str = ""


def build(
    external_secret: ExternalSecret,
    fetched: Mapping[str, bytes],
    existing: Secret | None,
    managed: Managed,
    world: World,
) -> Written:
    """The Secret after this sync. Raises SyncError: a template that fails, a Secret that belongs to somebody else, an
    immutable Secret that would have to change.
    """
    target = external_secret.spec.target
    _refuse_foreign(external_secret, existing)
    rendered = _rendered(external_secret, fetched, world)
    merges = target.creation_policy in {"Merge", "CreateOrMerge"}
    data = dict(rendered.data)
    if merges and existing is not None:
        data = {key: value for key, value in existing.data.items() if key not in managed.data} | data
    if existing is not None and (target.immutable or existing.immutable) and existing.data != data:
        raise SyncError(
            f"Secret {existing.meta.namespace}/{existing.meta.name} is immutable and its data would change: delete it, and "
            "set target.immutable to false if it is to change again",
            retry=False,
        )
    labels = dict(rendered.labels)
    if target.creation_policy == "Owner":
        labels[CREATED_BY_LABEL] = owner_hash(external_secret.meta.namespace, external_secret.meta.name)
    labels[MANAGED_LABEL] = "true"
    annotations = rendered.annotations | {DATA_HASH_ANNOTATION: data_hash(data)}
    ours = Managed(frozenset(rendered.data), frozenset(labels), frozenset(annotations))
    secret = Secret(
        Meta(
            name=external_secret.target_name,
            namespace=external_secret.meta.namespace,
            uid=existing.meta.uid if existing else "",
            labels=_kept(existing.meta.labels if existing else {}, managed.labels | {CREATED_BY_LABEL})
            | labels,
            annotations=_kept(existing.meta.annotations if existing else {}, managed.annotations)
            | annotations,
        ),
        data,
        type=rendered.type or (existing.type if existing else "Opaque"),
        finalizers=tuple(dict.fromkeys((*(existing.finalizers if existing else ()), *rendered.finalizers))),
        owner=_owner(external_secret, existing),
        immutable=target.immutable,
    )
    return Written(secret, ours)


def _kept(existing: Mapping[str, str], managed: frozenset[str] | set[str]) -> dict[str, str]:
    return {key: value for key, value in existing.items() if key not in managed}


def _owner(external_secret: ExternalSecret, existing: Secret | None) -> OwnerReference | None:
    meta = external_secret.meta
    ours = OwnerReference(EXTERNAL_SECRET_API_VERSION, "ExternalSecret", meta.name, meta.uid)
    if external_secret.spec.target.creation_policy == "Owner":
        # A reference without a UID is refused by Kubernetes; where there are no UIDs, the label alone tells the owner.
        return ours if meta.uid else None
    owner = existing.owner if existing else None
    return None if owner is not None and (owner.kind, owner.uid) == (ours.kind, ours.uid) else owner


def _refuse_foreign(external_secret: ExternalSecret, existing: Secret | None) -> None:
    if existing is None:
        return
    meta = external_secret.meta
    where = f"Secret {existing.meta.namespace}/{existing.meta.name}"
    owner = existing.owner
    if owner is not None and (owner.kind, owner.name) != ("ExternalSecret", meta.name):
        if owner.kind == "ExternalSecret" or external_secret.spec.target.creation_policy == "Owner":
            raise SyncError(
                f"{where} is owned by {owner.kind} {owner.name!r}: give one of the two another target.name",
                retry=False,
            )
        return
    mark = existing.meta.labels.get(CREATED_BY_LABEL)
    if mark and mark != owner_hash(meta.namespace, meta.name):
        raise SyncError(
            f"{where} was made by another ExternalSecret: give one of the two another target.name",
            retry=False,
        )


def _rendered(external_secret: ExternalSecret, fetched: Mapping[str, bytes], world: World) -> _Rendered:
    template = external_secret.spec.target.template
    meta = external_secret.meta
    if template is None:
        annotations = {key: value for key, value in meta.annotations.items() if key != _NOT_COPIED}
        return _Rendered(dict(fetched), dict(meta.labels), annotations)
    problems = privileged(template)
    if problems:
        raise SyncError("; ".join(problems), retry=False)
    return _Renderer(template, fetched, meta.namespace, world).render()


class _Renderer:
    """Renders one template."""

    def __init__(
        self, template: Template, fetched: Mapping[str, bytes], namespace: str, world: World
    ) -> None:
        self._template = template
        self._namespace = namespace
        self._world = world
        # Bytes that are not UTF-8 survive a template: they travel as lone surrogates.
        self._values = {key: value.decode("utf-8", "surrogateescape") for key, value in fetched.items()}
        keeps = template.merge_policy == "Merge" or not (template.data or template.template_from)
        self._result = _Rendered(dict(fetched) if keeps else {})

    def render(self) -> _Rendered:
        template, result = self._template, self._result
        for index, source in enumerate(template.template_from):
            self._from(source, f"target.template.templateFrom[{index}]")
        for key, text in template.data.items():
            result.data[key] = self._value(text, f"target.template.data[{key!r}]")
        if template.metadata is not None:
            for kind, texts, into in (
                ("labels", template.metadata.labels, result.labels),
                ("annotations", template.metadata.annotations, result.annotations),
            ):
                for key, text in texts.items():
                    into[key] = _readable(self._value(text, f"target.template.metadata.{kind}[{key!r}]"))
            result.finalizers = template.metadata.finalizers
        result.type = template.type
        try:
            result.data = checked_keys(result.data, instead="correct it in the template")
        except SyncError as error:
            raise error.at("target.template") from None
        return result

    def _value(self, text: str, place: str) -> bytes:
        try:
            return GoTemplate(text).render(self._values).encode("utf-8", "surrogateescape")
        except TemplateError as error:
            raise SyncError(f"{place}: {error}", retry=False) from None

    def _from(self, source: TemplateFrom, place: str) -> None:
        if source.literal is not None:
            self._many(source, source.literal, f"{place}.literal")
            return
        kind, reference = ("configMap", source.config_map) if source.config_map else ("secret", source.secret)
        assert reference is not None
        content = self._content(kind, reference, place)
        for item in reference.items:
            if item.key not in content:
                raise SyncError(f"{place}.{kind}: {reference.name!r} has no key {item.key!r}")
            text = content[item.key].decode("utf-8", "surrogateescape")
            if item.template_as == "KeysAndValues":
                self._many(source, text, f"{place}.{kind} key {item.key!r}")
            else:
                self._put(source, item.key, self._value(text, f"{place}.{kind} key {item.key!r}"), place)

    def _content(self, kind: str, reference: TemplateSource, place: str) -> Mapping[str, bytes]:
        if kind == "configMap":
            content = self._world.config_map(self._namespace, reference.name)
        else:
            secret = self._world.secret(self._namespace, reference.name)
            content = None if secret is None else secret.data
        if content is None:
            raise SyncError(f"{place}.{kind}: {self._namespace}/{reference.name} does not exist")
        return content

    def _many(self, source: TemplateFrom, text: str, place: str) -> None:
        rendered = self._value(text, place).decode("utf-8", "surrogateescape")
        try:
            found = keys_and_values(rendered)
        except TemplateError as error:
            raise SyncError(f"{place}: {error}", retry=False) from None
        for key, value in found.items():
            self._put(source, key, value.encode("utf-8", "surrogateescape"), place)

    def _put(self, source: TemplateFrom, key: str, value: bytes, place: str) -> None:
        try:
            value = decode(source.values_decoding_strategy, value)
        except SyncError as error:
            raise error.at(f"{place}: key {key!r}") from None
        match source.target.lower():
            case "annotations":
                self._result.annotations[key] = _readable(value)
            case "labels":
                self._result.labels[key] = _readable(value)
            case _:
                self._result.data[key] = value


def _readable(value: bytes) -> str:
    return value.decode("utf-8", "replace")
