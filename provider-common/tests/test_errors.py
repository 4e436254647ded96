"""The exception tree: as it is drawn, with codes that a program can tell apart."""

import re

import grpc
import pytest
from provider_common import NoPropertyError, NoSecretError, TemporaryError, errors


def drawn() -> dict[str, tuple[str, str]]:
    """Class name to parent and status, from the drawing in the module's docstring."""
    found: dict[str, tuple[str, str]] = {}
    above: list[str] = ["ProviderError"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ([│ ]*)[├└]── (\w+Error) *([A-Z_]+ )?", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 + 1
        above[depth:] = [match[2]]
        found[match[2]] = (above[depth - 1], (match[3] or "").strip())
    return found


CLASSES = {
    name: cls
    for name, cls in vars(errors).items()
    if isinstance(cls, type) and issubclass(cls, errors.ProviderError)
}


def test_the_drawing_is_the_tree() -> None:
    """An author chooses from the drawing."""
    assert {name: parent for name, (parent, _) in drawn().items()} == {
        name: cls.__base__.__name__ for name, cls in CLASSES.items() if name != "ProviderError"
    }


@pytest.mark.parametrize(("name", "status"), [(n, s) for n, (_, s) in drawn().items() if s])
def test_the_drawing_tells_the_status(name: str, status: str) -> None:
    assert CLASSES[name].status == status


@pytest.mark.parametrize("cls", CLASSES.values(), ids=lambda cls: cls.__name__)
def test_every_status_is_one_of_grpc_and_retryable_means_temporary(cls: type[errors.ProviderError]) -> None:
    assert cls.status in grpc.StatusCode.__members__
    assert cls.retryable == issubclass(cls, TemporaryError)


def test_not_found_has_one_class_alone() -> None:
    """Under deletionPolicy Delete it removes the user's Secret."""
    assert [name for name, cls in CLASSES.items() if cls.status == "NOT_FOUND"] == ["NoSecretError"]


def test_details_can_not_be_changed_afterwards() -> None:
    details = {"key": "a"}
    error = errors.InvalidSpecError("no", details=details)
    details["key"] = "b"

    assert error.details == {"key": "a"}
    with pytest.raises(TypeError):
        error.details["key"] = "c"  # type: ignore[index]


def test_names_are_told_as_the_user_wrote_them() -> None:
    assert str(NoSecretError("a/b", version="3")) == "Secret does not exist: 'a/b' version '3'"
    assert NoSecretError("k", details={"mount": "kv"}).details == {"key": "k", "mount": "kv"}
    assert str(NoPropertyError("k", "a.b")) == "Secret 'k' has no property 'a.b'"


def test_a_retry_delay_travels_with_the_error() -> None:
    assert TemporaryError("away", retry_after=3).retry_after == 3
    assert TemporaryError("away").retry_after is None
