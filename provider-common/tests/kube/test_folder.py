"""The folder of manifests: what counts, what a broken file does, and that a change is seen by the next read."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from provider_common._kube_folder import FolderReader
from provider_common.errors import InvalidSpecError, TemporaryError, UnsupportedError
from provider_common.kube import KubeObject, ServedType

GROUP = "provider.secretstore.external-secrets.io/v2alpha1"
TYPES = (ServedType(GROUP, "Fake", "fakes"), ServedType(GROUP, "Other", "others", optional=True))
CANARY = "c4nary-v4lue"


def fake(name: str = "main", *, namespace: str | None = "team-a", kind: str = "Fake", **spec: object) -> str:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return json.dumps({"apiVersion": GROUP, "kind": kind, "metadata": metadata, "spec": spec})


class Opened:
    """A reader, and its folder to write into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Long enough that what a test sees is the doing of its own read, not of the thread.
        self.reader = FolderReader(folder, poll=3600, recheck=0)

    def write(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def get(self, name: str = "main", *, namespace: str = "team-a", kind: str = "Fake") -> KubeObject | None:
        return self.reader.get_object(GROUP, kind, namespace, name)

    def found(self, name: str = "main", *, namespace: str = "team-a", kind: str = "Fake") -> KubeObject:
        found = self.get(name, namespace=namespace, kind=kind)
        assert found is not None
        return found


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(tmp_path)
    opened.reader.start(TYPES)
    yield opened
    opened.reader.close()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "did not happen within 30 s"
        pause.wait(0.02)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", fake(size=1)),
        ("a.yml", fake(size=1)),
        ("a.json", fake(size=1)),
        ("deep/er/a.yaml", fake(size=1)),
        ("several.yaml", f"{fake('first')}\n---\n{fake(size=1)}\n---\n# nothing\n"),
        ("list.yaml", f"apiVersion: v1\nkind: List\nitems:\n- {fake('first')}\n- {fake(size=1)}\n"),
        (
            "typed-list.yaml",
            f"apiVersion: {GROUP}\nkind: FakeList\nitems:\n- metadata: {{name: main, namespace: team-a}}\n  spec: {{size: 1}}\n",
        ),
    ],
    ids=["yaml", "yml", "json", "subfolder", "documents", "list", "typed-list"],
)
def test_an_object_is_found_wherever_kubectl_would_find_it(opened: Opened, name: str, content: str) -> None:
    """Users keep manifests in many shapes; all that `kubectl apply -R -f` takes counts."""
    opened.write(name, content)

    assert opened.found().spec == {"size": 1}


def test_without_a_namespace_an_object_is_in_default(opened: Opened) -> None:
    """The namespace that kubectl would use."""
    opened.write("a.yaml", fake(namespace=None))

    assert opened.found(namespace="default").namespace == "default"
    assert opened.get(namespace="team-a") is None


def test_hidden_files_and_folders_are_left_out(opened: Opened) -> None:
    """Editors' swap files, .git, and the second copy that a mounted ConfigMap keeps in ..data."""
    opened.write(".hidden.yaml", fake("one"))
    opened.write("..data/a.yaml", fake("two"))
    opened.write("a.yaml~", fake("three"))

    assert [opened.get(name) for name in ("one", "two", "three")] == [None] * 3
    assert opened.reader.status().problems == {}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("=", "="),
        ("010", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("yes", True),
        ("~", None),
    ],
)
def test_scalars_are_what_kubernetes_takes_them_for(opened: Opened, written: str, read: object) -> None:
    """The same manifest means the same in a folder and in a cluster."""
    opened.write(
        "a.yaml",
        f"apiVersion: {GROUP}\nkind: Fake\nmetadata: {{name: main, namespace: team-a}}\nspec: {{value: {written}}}\n",
    )

    assert opened.found().spec == {"value": read}


def test_a_secret_has_its_data_and_over_it_its_string_data(opened: Opened) -> None:
    """stringData wins, as in the API server."""
    opened.write(
        "a.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: team-a}\n"
        "data: {a: AP8=, b: b2xk}\nstringData: {b: new, c: 'é'}\n",
    )

    assert opened.reader.read_secret("team-a", "s") == {"a": b"\x00\xff", "b": b"new", "c": "é".encode()}
    assert opened.reader.read_secret("team-b", "s") is None


def test_a_config_map_has_its_data_and_binary_data(opened: Opened) -> None:
    """A CA bundle may be in either."""
    opened.write(
        "a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: team-a}\ndata: {a: x}\nbinaryData: {b: AP8=}\n",
    )

    assert opened.reader.read_config_map("team-a", "c") == {"a": b"x", "b": b"\x00\xff"}
    assert opened.reader.read_config_map("team-a", "other") is None


def test_a_service_account_has_annotations_but_gives_no_token(opened: Opened) -> None:
    """Nothing in a folder can sign a token, and the error says what to do instead."""
    opened.write(
        "a.yaml",
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: app, namespace: team-a, annotations: {role: r}}\n"
        "secrets: [{name: legacy}]\n",
    )
    account = opened.reader.read_service_account("team-a", "app")

    assert account is not None
    assert (account.annotations, account.secrets) == ({"role": "r"}, ("legacy",))
    assert account.uid
    with pytest.raises(UnsupportedError, match="only a cluster issues tokens"):
        opened.reader.create_token("team-a", "app", audiences=(), expiration_seconds=None)


def test_a_change_is_in_the_next_read(opened: Opened) -> None:
    """Whoever writes a manifest and then asks must not be answered from before."""
    opened.write("a.yaml", fake(size=1))
    before = opened.found()

    opened.write("a.yaml", fake(size=22))
    after = opened.found()

    assert (before.spec, after.spec) == ({"size": 1}, {"size": 22})
    assert (before.generation, after.generation) == (1, 2)
    assert before.uid == after.uid


def test_a_new_file_and_a_removed_one_are_in_the_next_read(opened: Opened) -> None:
    """ "There is none" is a permanent error to the core, so it has to be true."""
    assert opened.get() is None

    opened.write("a.yaml", fake())
    assert opened.found().name == "main"

    (opened.folder / "a.yaml").unlink()
    assert opened.get() is None


def test_only_changed_objects_are_new_objects(opened: Opened) -> None:
    """Stores are opened again for a new object: a neighbour in the same file must not cause it."""
    opened.write("a.yaml", f"{fake('one', size=1)}\n---\n{fake('two', size=1)}")
    one, two = opened.found("one"), opened.found("two")

    opened.write("a.yaml", f"# a comment\n{fake('one', size=1)}\n---\n{fake('two', size=2)}")

    assert opened.found("one") is one
    assert opened.found("two") is not two


def test_an_object_that_moves_to_another_file_is_the_same(opened: Opened) -> None:
    """Tidying up a folder changes nothing."""
    opened.write("a.yaml", fake(size=1))
    before = opened.found()

    (opened.folder / "a.yaml").rename(opened.folder / "b.yaml")

    assert opened.found() is before


def test_the_uid_is_the_same_in_every_process(tmp_path: Path) -> None:
    """The core and the providers read the same folder and compare UIDs."""
    (tmp_path / "a.yaml").write_text(f"{fake()}\n---\n{fake('other')}")
    readers = [FolderReader(tmp_path), FolderReader(tmp_path)]
    for reader in readers:
        reader.start(TYPES)
    uids = [[r.get_object(GROUP, "Fake", "team-a", n) for n in ("main", "other")] for r in readers]
    for reader in readers:
        reader.close()

    assert [o.uid for o in uids[0] if o] == [o.uid for o in uids[1] if o]
    assert len({o.uid for o in uids[0] if o}) == 2


@pytest.mark.parametrize(
    ("name", "broken", "line"),
    [
        ("a.yaml", f"apiVersion: v1\nkind: [{CANARY}", 2),
        ("a.yaml", f"a: 1\nb: *{CANARY}\n", 2),
        ("a.yaml", f"a: 1\nb: !!{CANARY} x\n", 2),
        ("a.yaml", f"a: {CANARY}".encode() + b"\xff\xfe", 1),
        ("a.json", f'{{"a":\n "{CANARY}" "b"}}', 2),
    ],
    ids=["unclosed", "alias", "tag", "not-utf-8", "json"],
)
def test_a_file_broken_for_a_moment_keeps_its_last_good_state(
    opened: Opened, name: str, broken: str | bytes, line: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Half-saved files happen; the problem is told by file and line, without what is written there."""
    opened.write(name, fake(size=1))
    before = opened.found()

    opened.write(name, broken)

    assert opened.found() is before
    problem = opened.reader.status().problems[name]
    assert problem.startswith(f"{name} line {line}: not valid")
    assert CANARY not in problem + caplog.text

    opened.write(name, fake(size=3))
    assert opened.found().spec == {"size": 3}
    assert opened.reader.status().problems == {}


def test_a_file_truncated_before_it_is_written_keeps_its_last_good_state(opened: Opened) -> None:
    """Many an editor empties a file first: for a moment it is valid YAML with nothing in it."""
    opened.write("a.yaml", fake(size=1))
    before = opened.found()

    opened.write("a.yaml", "")
    assert opened.found() is before

    an_hour_ago = time.time() - 3600
    os.utime(opened.folder / "a.yaml", (an_hour_ago, an_hour_ago))
    assert opened.get() is None


def test_what_may_be_in_an_unreadable_file_is_not_said_to_be_missing(opened: Opened) -> None:
    """A file that never could be read may hold the very object: worth another try, and the file is named."""
    opened.write("broken.yaml", "a: [")

    with pytest.raises(TemporaryError, match=r"broken\.yaml line 1: not valid YAML"):
        opened.get()


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        (f"kind: Secret\ndata: {{pw: {CANARY}}}", "data.pw is not base64"),
        ("kind: Secret\nstringData: {pw: 12}", "stringData.pw is not text: put it in quotes"),
        (f"kind: Secret\ndata: [{CANARY}]", "data is not a mapping"),
    ],
    ids=["base64", "number", "list"],
)
def test_a_secret_that_the_api_server_would_refuse_says_why(opened: Opened, manifest: str, text: str) -> None:
    """ "There is no such Secret" would send the user looking in the wrong place."""
    opened.write("a.yaml", f"apiVersion: v1\nmetadata: {{name: s, namespace: team-a}}\n{manifest}\n")

    with pytest.raises(InvalidSpecError) as error:
        opened.reader.read_secret("team-a", "s")
    assert f"a.yaml line 1: Secret team-a/s: {text}" in str(error.value)
    assert CANARY not in str(error.value)


def test_a_spec_that_is_no_mapping_says_so(opened: Opened) -> None:
    """The same, for a configuration object."""
    opened.write(
        "a.yaml",
        f"apiVersion: {GROUP}\nkind: Fake\nmetadata: {{name: main, namespace: team-a}}\nspec: [{CANARY}]",
    )

    with pytest.raises(InvalidSpecError, match=r"a\.yaml line 1: Fake team-a/main: spec is not a mapping"):
        opened.get()


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (f"[{CANARY}]", "not a Kubernetes object (a mapping was expected)"),
        (f"a: {CANARY}", "not a Kubernetes object (it has no apiVersion or no kind)"),
        ("{apiVersion: v1, kind: Secret}", "this Secret has no metadata.name"),
    ],
    ids=["list", "values-file", "nameless"],
)
def test_a_document_that_is_no_object_is_reported_and_the_rest_counts(
    opened: Opened, document: str, text: str
) -> None:
    """One stray document must not hide its neighbours."""
    opened.write("a.yaml", f"{fake()}\n---\n{document}\n")

    assert opened.found().name == "main"
    assert opened.reader.status().problems["a.yaml"] == f"a.yaml line 3: {text}"


def test_the_first_of_two_equal_names_counts_and_both_places_are_told(tmp_path: Path) -> None:
    """Which one counts must not depend on the file system; by the order of names it is the same everywhere."""
    opened = Opened(tmp_path)
    opened.write("b.yaml", f"# first\n{fake(size=2)}")
    opened.write("a.yaml", fake(size=1))
    opened.reader.start(TYPES)
    try:
        assert opened.found().spec == {"size": 1}
        assert opened.reader.status().problems == {
            "b.yaml": "b.yaml line 2: Fake team-a/main is also in a.yaml line 1, and that one counts"
        }
    finally:
        opened.reader.close()


def test_the_thread_follows_the_folder_without_being_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Problems show up in the log and in /healthz though no call comes."""
    reader = FolderReader(tmp_path, poll=0.01)
    assert not reader.status().synced
    reader.start(TYPES)
    try:
        eventually(lambda: reader.status().synced)
        assert set(reader.status().ages) == {f"{GROUP}/Fake", f"{GROUP}/Other"}

        (tmp_path / "a.yaml").write_text("a: [")
        eventually(lambda: "a.yaml" in reader.status().problems)
        assert "a.yaml line 1: not valid YAML" in caplog.text
    finally:
        reader.close()
    assert "manifests" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(("recheck", "size"), [(3600, 1), (0, 2)], ids=["within", "after"])
def test_a_file_that_was_just_found_unchanged_is_believed_for_a_moment(
    tmp_path: Path, recheck: float, size: int
) -> None:
    """The file system is not asked again at every read of a busy server, and is asked after that moment."""
    opened = Opened(tmp_path)
    opened.reader = FolderReader(tmp_path, poll=3600, recheck=recheck)
    opened.write("a.yaml", fake(size=1))
    opened.reader.start(TYPES)
    try:
        eventually(lambda: opened.reader.status().synced)
        assert [opened.found().spec["size"] for _ in range(2)] == [1, 1]

        opened.write("a.yaml", fake(size=2))

        assert opened.found().spec["size"] == size
    finally:
        opened.reader.close()


def test_a_change_is_seen_soon_by_a_reader_as_it_is_served(tmp_path: Path) -> None:
    """What a user writes takes effect at once, though no look at the folder is due."""
    opened = Opened(tmp_path)
    opened.reader = FolderReader(tmp_path, poll=3600)
    opened.write("a.yaml", fake(size=1))
    opened.reader.start(TYPES)
    try:
        assert opened.found().spec["size"] == 1
        opened.write("a.yaml", fake(size=2))
        eventually(lambda: opened.found().spec["size"] == 2)
    finally:
        opened.reader.close()


def test_what_was_read_before_the_start_is_read_again_for_its_types(tmp_path: Path) -> None:
    """A Secret may be wanted before it is known which objects are."""
    opened = Opened(tmp_path)
    opened.write(
        "a.yaml", f"{fake()}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: team-a}}\n"
    )
    assert opened.reader.read_secret("team-a", "s") == {}

    opened.reader.start(TYPES)
    try:
        assert opened.found().name == "main"
    finally:
        opened.reader.close()


def test_a_folder_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    """A volume may be mounted late; until then nothing is said to be missing."""
    opened = Opened(tmp_path / "later")
    opened.reader.start(TYPES)
    try:
        with pytest.raises(TemporaryError, match="does not exist"):
            opened.get()
        assert not opened.reader.status().synced

        opened.write("a.yaml", fake())
        assert opened.found().name == "main"
        assert opened.reader.status().synced
    finally:
        opened.reader.close()


def test_a_folder_that_vanishes_keeps_its_last_good_state(opened: Opened, tmp_path: Path) -> None:
    """A volume that is mounted anew is gone for a moment."""
    opened.write("a.yaml", fake())
    before = opened.found()

    (tmp_path).rename(tmp_path.with_name("elsewhere"))

    assert opened.found() is before
    assert "does not exist" in opened.reader.status().problems["."]


def test_ten_thousand_manifests_are_one_read_away(opened: Opened) -> None:
    """A folder of that size is within what the reader is made for."""
    for number in range(100):
        text = "\n---\n".join(fake(f"object-{number}-{index}", size=index) for index in range(100))
        opened.write(f"{number}.yaml", text)

    assert opened.found("object-99-99").spec == {"size": 99}
    kept = opened.found("object-3-7")
    opened.write("99.yaml", fake("object-99-99", size=0))
    assert opened.found("object-99-99").spec == {"size": 0}
    assert opened.found("object-3-7") is kept


def test_many_threads_that_read_while_files_change_never_see_half_a_state(opened: Opened) -> None:
    """A snapshot is swapped whole: readers see an old state or a new one."""
    opened.write("a.yaml", fake(left=0, right=0))
    wrong: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            spec = opened.found().spec
            if spec["left"] != spec["right"]:
                wrong.append(spec)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 50):
        (opened.folder / "a.tmp").write_text(fake(left=number, right=number))
        (opened.folder / "a.tmp").rename(opened.folder / "a.yaml")
        assert opened.found().spec == {"left": number, "right": number}
    stop.set()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert opened.found().generation == 50


def test_nothing_secret_is_in_a_repr(opened: Opened) -> None:
    """Objects end up in logs; what is in them must not."""
    opened.write(
        "a.yaml",
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: team-a}}\nstringData: {{a: {CANARY}}}\n---\n"
        f"{fake(value=CANARY)}",
    )

    shown = f"{opened.found()!r} {opened.reader.read_secret('team-a', 's')!r} {vars(opened.reader)!r}"

    assert CANARY not in shown
