"""Finding: every secret that the selection matches, whole, and an empty answer when there is none."""

from __future__ import annotations

import re

from provider_conformance import seed
from provider_conformance.client import Code
from provider_conformance.judge import StoreJudge
from provider_conformance.registry import check
from provider_conformance.verdict import Failed, NotApplicable, NotRun


def _by(judge: StoreJudge, selector: str) -> None:
    """Raises NotApplicable when the target does not declare this selector."""
    if selector not in judge.limits.find:
        raise NotApplicable(f"backend limit: find {list(judge.limits.find)}")


def _group(judge: StoreJudge, *suffixes: str) -> tuple[str, dict[str, bytes]]:
    """Secrets of one stem: the stem, and the names with their values as a find has to show them."""
    _by(judge, "name")
    stem = judge.seeds.key("group")
    made = {}
    for suffix in suffixes:
        item = judge.seeds.under(f"{stem}-{suffix}", judge.seeds.value(seed.TEXT) + suffix.encode())
        made[item.key] = judge.whole(item).value
    return stem, made


def _expect(judge: StoreJudge, got: dict[str, bytes], want: dict[str, bytes]) -> None:
    if set(got) != set(want):
        missing, extra = sorted(set(want) - set(got)), sorted(set(got) - set(want))
        raise Failed(
            f"found {len(got)} secrets in place of {len(want)}; missing {missing[:5]}, too many {extra[:5]}"
        )
    for name, value in want.items():
        judge.same(seed.Item(name, value), got[name], where=f"GetAllSecrets, {name}:")


@check("find.by-name", area="find", profile="core", contract=("FIND-1", "FIND-2"))
def by_name(judge: StoreJudge) -> None:
    """A pattern finds the secrets with such names, and no others, with whole values.

    If this fails: `dataFrom.find` gives incomplete Secrets, or other teams' values.
    Likely cause: the pattern is applied to another name than the backend shows, or not at all.
    Fix: list, match the backend's own names, read each match.
    """
    stem, made = _group(judge, "one", "two")
    judge.seeds.new(b"not of the group", name="other")
    _expect(judge, dict(judge.find(f"^{re.escape(stem)}-(one|two)$").ok().secrets), made)


@check("find.existing", area="find", profile="core", contract=("FIND-1", "FIND-2"))
def existing(judge: StoreJudge) -> None:
    """An existing secret is found by its exact name, with the value that GetSecret answers.

    If this fails: what can be read cannot be found, or is found with another value.
    Likely cause: names are converted before they are compared, or values are cut in the listing.
    Fix: match the backend's own names, and read each match as GetSecret does.
    """
    item = judge.item(seed.TEXT)
    _by(judge, "name")
    found = dict(judge.find(f"^{re.escape(item.key)}$").ok().secrets)
    if set(found) != {item.key}:
        raise Failed(f"the exact name finds {sorted(found)[:5]}")
    if judge.limits.values != "object":
        judge.same(item, found[item.key], where="GetAllSecrets")


@check("find.nothing", area="find", profile="core", contract=("FIND-5",))
def nothing(judge: StoreJudge) -> None:
    """Finding nothing is OK and an empty map.

    If this fails: an empty selection is an error for ever, or deletes the user's Secret.
    Likely cause: an empty listing is reported as NOT_FOUND.
    Fix: answer OK without entries.
    """
    _by(judge, "name")
    found = judge.find(f"^{re.escape(judge.absent())}$").ok("nothing matches").secrets
    if found:
        raise Failed(f"a pattern that matches nothing finds {sorted(found)[:5]}")


@check("find.unanchored", area="find", profile="core", contract=("FIND-2",))
def unanchored(judge: StoreJudge) -> None:
    """A pattern is searched anywhere in the name.

    If this fails: patterns that work with the Go implementation find less.
    Likely cause: the pattern is matched at the beginning, or against the whole name.
    Fix: search, as RE2's partial match does.
    """
    stem, made = _group(judge, "inner-x")
    middle = re.escape(stem[3:]) + "-inn"
    _expect(judge, dict(judge.find(middle).ok().secrets), made)


@check("find.anchors", area="find", contract=("FIND-2",))
def anchors(judge: StoreJudge) -> None:
    """`^` and `$` stand for the ends of the name.

    If this fails: a pattern that was meant for one secret finds many.
    Likely cause: the name carries a prefix or suffix when it is matched.
    Fix: match the name alone.
    """
    stem, made = _group(judge, "end", "end-not")
    want = {f"{stem}-end": made[f"{stem}-end"]}
    _expect(judge, dict(judge.find(f"^{re.escape(stem)}-end$").ok().secrets), want)


@check("find.empty-pattern", area="find", contract=("FIND-2",))
def empty_pattern(judge: StoreJudge) -> None:
    """A pattern that is present and empty finds every name.

    If this fails: "all of them" finds none, or is an error.
    Likely cause: the presence of `name` is not told from an empty pattern.
    Fix: ask for presence (HasField), not for truth.
    """
    _, made = _group(judge, "all")
    _by(judge, "name")
    answer = judge.find("")
    if answer.code is Code.FAILED_PRECONDITION:
        raise NotRun("not seeded: the store holds more than one answer can carry")
    found = set(answer.ok("an empty pattern").secrets)
    if not set(made) <= found:
        raise Failed(f"an empty pattern finds {len(found)} secrets, and not the one just made")


@check("find.bad-pattern", area="find", profile="core", contract=("FIND-3",))
def bad_pattern(judge: StoreJudge) -> None:
    """A pattern with bad syntax is INVALID_ARGUMENT.

    If this fails: a typing error looks like an empty selection, or like a defect of the provider.
    Likely cause: the regular expression library's exception is not translated.
    Fix: compile the pattern first and answer INVALID_ARGUMENT with its reason.
    """
    _by(judge, "name")
    for pattern in ("(", "[a-", "*a", "a{2,1}", "\\"):
        judge.find(pattern).refused(Code.INVALID_ARGUMENT, why=f"{pattern!r} is not RE2")


@check("find.lookaround-refused", area="find", contract=("FIND-3",))
def lookaround_refused(judge: StoreJudge) -> None:
    """Look-around and back-references, which RE2 does not have, are INVALID_ARGUMENT.

    If this fails: manifests that work with one provider fail with the next, and a pattern can hang the server.
    Likely cause: the language's own regular expressions are used.
    Fix: use RE2 (google-re2 in Python, regexp in Go, regex in Rust).
    """
    _by(judge, "name")
    for pattern in ("a(?=b)", "(?<!a)b", r"(a)\1", "(?>a)b"):
        judge.find(pattern).refused(Code.INVALID_ARGUMENT, why=f"{pattern!r} is not RE2")


@check("find.re2-syntax", area="find", contract=("FIND-2",))
def re2_syntax(judge: StoreJudge) -> None:
    r"""Flags, classes and `\z` of RE2 are understood.

    If this fails: patterns that work with the Go implementation are refused.
    Likely cause: a regular expression library of another syntax.
    Fix: use RE2.
    """
    stem, made = _group(judge, "Re2")
    _expect(judge, dict(judge.find(f"(?i)^{re.escape(stem.upper())}-rE[[:digit:]]\\z").ok().secrets), made)


@check("find.not-decoded", area="find", contract=("FIND-1", "GET-5"))
def not_decoded(judge: StoreJudge) -> None:
    """Values of a find are not decoded.

    If this fails: values are decoded twice, which corrupts them silently.
    Likely cause: decoding_strategy is acted upon.
    Fix: ignore it.
    """
    _by(judge, "name")
    item = judge.item(seed.BASE64)
    found = judge.find(f"^{re.escape(item.key)}$", decoding="Base64").ok().secrets
    judge.same(judge.whole(item), found.get(item.key, b""), where="GetAllSecrets")


@check("find.binary-values", area="find", contract=("FIND-1", "GET-1"))
def binary_values(judge: StoreJudge) -> None:
    """Binary values are found whole.

    If this fails: one keystore among the secrets makes the whole find fail, or is destroyed.
    Likely cause: values of a listing pass through a text type.
    Fix: keep bytes.
    """
    _by(judge, "name")
    item = judge.item(seed.EVERY_BYTE)
    found = judge.find(f"^{re.escape(item.key)}$").ok("a binary value is found").secrets
    judge.same(judge.whole(item), found.get(item.key, b""), where="GetAllSecrets")


@check("find.many", area="find", profile="core", contract=("FIND-1",))
def many(judge: StoreJudge) -> None:
    """All matches are found, however many pages the backend needs.

    If this fails: from some number of secrets on, values are missing in the Secret, and nothing says so.
    Likely cause: only the first page of the listing is read, or the last one is lost.
    Fix: follow the page token until it is empty.
    """
    count = judge.limits.find_count
    stem, made = _group(judge, *(f"{n:04d}" for n in range(count)))
    _expect(judge, dict(judge.find(f"^{re.escape(stem)}-[0-9]{{4}}$").ok().secrets), made)


@check("find.deleted-left-out", area="find", role="writable", contract=("FIND-7", "DEL-1"))
def deleted_left_out(judge: StoreJudge) -> None:
    """A secret of the group that was deleted is left out, and the others are found.

    If this fails: one deleted secret takes all others with it.
    Likely cause: a not-found of one item ends the whole find.
    Fix: skip what has vanished between the listing and the read.
    """
    if not judge.limits.delete:
        raise NotApplicable("backend limit: delete false")
    stem, made = _group(judge, "kept", "gone")
    judge.delete(f"{stem}-gone").ok("to delete one of two")
    want = {f"{stem}-kept": made[f"{stem}-kept"]}
    _expect(judge, dict(judge.find(f"^{re.escape(stem)}-").ok("one of two was deleted").secrets), want)


@check("find.by-tags", area="find", contract=("FIND-4",))
def by_tags(judge: StoreJudge) -> None:
    """Tags find the secrets that carry all of them.

    If this fails: a selection by tags finds too much, and so copies secrets to where they do not belong.
    Likely cause: any tag is enough, or only names of tags are compared.
    Fix: all given tags have to be there with their values.
    """
    _by(judge, "tags")
    team = judge.session.canary[:8]
    both = judge.seeds.new(b"both tags", name="both", tags={"conformance": team, "tier": "gold"})
    judge.seeds.new(b"one tag", name="one", tags={"conformance": team})
    found = set(judge.find(tags={"conformance": team, "tier": "gold"}).ok().secrets)
    if found != {both.key}:
        raise Failed(f"two tags, carried by one secret, find {len(found)} secrets")


@check("find.by-path", area="find", contract=("FIND-4", "FIND-5"))
def by_path(judge: StoreJudge) -> None:
    """A path narrows the find, and a path where nothing is gives an empty answer.

    If this fails: secrets of other places are found, or an empty place is an error.
    Likely cause: the path is ignored, or the backend's not-found for a place is passed on.
    Fix: list below the path; nothing there is an empty map.
    """
    _by(judge, "path")
    nowhere = judge.absent()
    found = judge.find(".*", path=nowhere).ok("the path is empty").secrets
    if found:
        raise Failed(f"a path where nothing is finds {sorted(found)[:5]}")
    stem = judge.seeds.key("place")
    inside = judge.seeds.under(f"{stem}/inside", judge.seeds.value(seed.TEXT))
    found = judge.find(path=stem).ok("the path has one secret").secrets
    if len(found) != 1 or not any(name.endswith("inside") for name in found):
        raise Failed(f"path {stem!r} finds {sorted(found)[:5]} in place of {inside.key!r}")


@check("find.unsupported-selector", area="find", contract=("FIND-6",))
def unsupported_selector(judge: StoreJudge) -> None:
    """A selector that is not supported is refused, and not ignored.

    If this fails: a selection by tags finds everything, and copies secrets to where they do not belong.
    Likely cause: fields that the provider does not read are not looked at.
    Fix: refuse them with INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    if not judge.limits.find:
        judge.client.call(judge.find_request(".*")).refused(Code.UNIMPLEMENTED, why="find is not supported")
        return
    if "tags" in judge.limits.find:
        raise NotApplicable("every selector is supported: find by tags")
    answer = judge.find(tags={"conformance": "no such tag"})
    answer.refused(Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED, why="tags are not supported")


@check("find.no-selector", area="find", contract=("FIND-6", "WIRE-6"))
def no_selector(judge: StoreJudge) -> None:
    """A find without any selector is answered or refused, and neither absent nor a defect.

    If this fails: an empty `find: {}` deletes a Secret, or looks like a bug.
    Likely cause: code that takes for granted that there is a name.
    Fix: refuse it with INVALID_ARGUMENT, or find everything.
    """
    answer = judge.find()
    if answer.code is not Code.OK:
        answer.not_absent(why="no selector at all")


@check("find.over-four-mib", area="find", contract=("TR-7",))
def over_four_mib(judge: StoreJudge) -> None:
    """A find of more than 4 MiB in all is refused with its size, and the server goes on.

    If this fails: the caller's gRPC library refuses the answer, and the core tries again for ever.
    Likely cause: only single values are measured.
    Fix: measure the whole answer before it is sent.
    """
    _by(judge, "name")
    stem = judge.seeds.key("heap")
    heap = [judge.seeds.under(f"{stem}-{part}", b"H" * (3 << 19)) for part in range(3)]
    try:
        judge.find(f"^{re.escape(stem)}-").refused(Code.FAILED_PRECONDITION, why="the answer exceeds 4 MiB")
        found = judge.find(f"^{re.escape(stem)}-0$").ok("one of them fits").secrets
        if len(found) != 1:
            raise Failed(f"one of three secrets is found {len(found)} times")
    finally:
        for item in heap:
            judge.seeds.drop(item)
