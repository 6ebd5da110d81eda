"""
Declared paths against a model: what is opened is what was declared, and never what is kept back.

The model resolves links by itself, in a tree that exists twice: on disk and as a mapping.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.tool_sandbox.paths import NEVER_READ, NEVER_WRITTEN, Opened, Paths, check

DIR, FILE = "dir", "file"
# Path in the workspace → what is there: DIR, FILE, or where a link leads.
TREE = {
    "config.yaml": FILE,
    "memory": DIR,
    "memory/memory.db": FILE,
    "memory/vault": DIR,
    "memory/vault/vault.json": FILE,
    "skills": DIR,
    "skills/s.py": FILE,
    "data": DIR,
    "data/d.csv": FILE,
    "data/deep": DIR,
    "data/deep/x é": FILE,
    "in": "data/deep",
    "data/up": "../data/d.csv",
    "chain": "chain2",
    "chain2": "in",
    "round": "round2",
    "round2": "round",
    "out": "/etc",
    "out2": "../../..",
    "data/out3": "deep/../../../x",
    "lost": "nowhere/at/all",
    "data/vault": "../memory/vault",
    "data/mem": "../memory",
    "data/conf": "../config.yaml",
    "data/root": "..",
}
OTHERS = (
    "new",
    "new.txt",
    "vault",
    "deep",
    "..",
    ".",
    "",
    "x é",
    "d.csv",
    "up",
    "mem",
    "memory",
    "~",
)
parts = st.sampled_from(sorted({*itertools.chain(*(k.split("/") for k in TREE)), *OTHERS}))
spellings = st.builds(
    lambda names, end: "/".join(names) + end,
    st.lists(parts, min_size=1, max_size=4) | st.sampled_from([k.split("/") for k in TREE]),
    st.sampled_from(["", "/", "//", "/."]),
).filter(lambda text: not text.startswith("/"))


class Out(Exception):
    """A link leads out, or round."""


@pytest.fixture(scope="module")
def make() -> Iterator[Callable[[], Path]]:
    """Make the tree once more."""
    with tempfile.TemporaryDirectory() as folder:
        count = itertools.count()

        def made() -> Path:
            root = Path(folder).resolve() / str(next(count)) / "ws"
            root.mkdir(parents=True)
            for path, kind in TREE.items():
                at = root / path
                if kind == DIR:
                    at.mkdir()
                elif kind == FILE:
                    at.write_text(path)
                else:
                    at.symlink_to(kind)
            return root

        yield made


def resolve(tree: Mapping[str, str], path: str) -> str | None:
    """Where *path* leads in *tree*; None where nothing is there."""
    waiting, at, links = list(PurePosixPath(path).parts), list[str](), 0
    while waiting:
        name = waiting.pop(0)
        if name == "/" or (name == ".." and not at):
            raise Out
        if name == "..":
            at.pop()
            continue
        kind = tree.get("/".join([*at, name]))
        if kind in {DIR, FILE}:
            at.append(name)
            if kind == FILE and waiting:
                return None
        elif kind is None:
            return None
        else:
            links += 1
            if links > 40:
                raise Out
            waiting = [*PurePosixPath(kind).parts, *waiting]
    return "/".join(at)


def beneath(path: str, other: str) -> bool:
    return PurePosixPath(path or ".").is_relative_to(other or ".")


def spelled_well(declared: str) -> bool:
    return bool(declared) and ".." not in declared.split("/") and declared[0] not in "~/"


def readable(declared: str) -> set[str] | None:
    """What of the tree is opened for reading; None where it is refused."""
    if not spelled_well(declared):
        return None
    plain = str(PurePosixPath(declared))
    if any(beneath(plain, secret) for secret in NEVER_READ):
        return None
    try:
        found = resolve(TREE, plain)
    except Out:
        return None
    if found is None:
        return set()
    if any(beneath(found, secret) for secret in NEVER_READ) or planted(plain, found):
        return None
    return set(in_parts(found))


def planted(plain: str, found: str) -> bool:
    """Whether a link leads to the record, or around it, that does not ask for it by its name."""
    by_name = any(beneath(plain, name) for name in NEVER_WRITTEN)
    record = any(beneath(found, name) or beneath(name, found) for name in NEVER_WRITTEN)
    return record and not by_name and found != plain.removeprefix(".")


def in_parts(found: str) -> Iterator[str]:
    if not any(beneath(secret, found) for secret in NEVER_READ):
        yield found
        return
    for path, kind in TREE.items():
        inside = str(PurePosixPath(path).parent) == (found or ".") and kind in {DIR, FILE}
        if inside and path not in NEVER_READ:
            yield from in_parts(path)


def target(one: Opened) -> Path:
    return Path(f"/proc/self/fd/{one.descriptor}").readlink()


def true_paths(root: Path, opened: list[Opened]) -> set[str]:
    found = set(map(target, opened))
    assert all(path.is_relative_to(root) for path in found)
    return {"" if path == root else str(path.relative_to(root)) for path in found}


@given(declared=spellings)
@example(declared=".")
@example(declared="memory")
@example(declared="data/root")
@example(declared="data/mem/vault")
def test_what_is_read_is_what_the_model_says(make: Callable[[], Path], declared: str) -> None:
    root = _shared_tree(make)
    with Paths(root) as paths:
        try:
            found = true_paths(root, paths.read([declared]))
        except InvalidInput:
            assert readable(declared) is None, declared
            return
    assert found == readable(declared)
    assert not any(beneath(path, secret) for path in found for secret in NEVER_READ)


_trees: list[Path] = []


def _shared_tree(make: Callable[[], Path]) -> Path:
    """Reading changes nothing: one tree does for all examples."""
    if not _trees or not _trees[0].exists():
        _trees[:] = [make()]
    return _trees[0]


def writable(declared: str) -> tuple[str, str | None] | None:
    """What is opened for writing, and as what it is made where it is not there."""
    plain = str(PurePosixPath(declared)) if spelled_well(declared) else ""
    if not plain or any(beneath(plain, own) or beneath(own, plain) for own in NEVER_WRITTEN):
        return None
    try:
        found = resolve(TREE, plain)
    except Out:
        return None
    if found is None:
        return made(plain, folder=declared.endswith("/") or not PurePosixPath(plain).suffix)
    return None if own(found) else (found, None)


def made(plain: str, *, folder: bool) -> tuple[str, str] | None:
    """Through folders alone, and where nothing is yet."""
    above = [*PurePosixPath(plain).parents][:-1]
    if plain in TREE or any(TREE.get(str(path), DIR) != DIR for path in above):
        return None
    return plain, DIR if folder else FILE


def own(found: str) -> bool:
    return any(beneath(found, own) or beneath(own, found) for own in NEVER_WRITTEN)


@given(declared=spellings)
@example(declared="lost")
@example(declared="lost/x.txt")
@example(declared="data/d.csv/x")
@example(declared="data/new/other/x.txt")
@example(declared="data/root/skills")
def test_what_is_written_is_what_the_model_says(make: Callable[[], Path], declared: str) -> None:
    root = make()
    before = snapshot(root)
    expected = writable(declared)
    with Paths(root) as paths:
        try:
            found = true_paths(root, paths.write([declared]))
        except InvalidInput:
            assert expected is None, declared
            found = set()
    after = snapshot(root)
    assert before.items() <= after.items(), "something that was there has changed"
    if expected is None:
        assert not found
        return
    path, kind = expected
    assert found == {path}
    new = set(after) - set(before)
    assert all(beneath(path, one) for one in new), "more was made than the way there"
    if kind:
        assert after[path] == kind


def snapshot(root: Path) -> dict[str, str]:
    def kind(path: Path) -> str:
        return str(path.readlink()) if path.is_symlink() else DIR if path.is_dir() else FILE

    return {str(path.relative_to(root)): kind(path) for path in root.rglob("*")}


@pytest.mark.parametrize(
    "declared", ["", "~", "~/x", "~root", "a\0b", "..", "a/../b", "../x", "\ud800"]
)
def test_a_spelling_that_is_none_is_refused(declared: str) -> None:
    for writes in (False, True):
        with pytest.raises(InvalidInput):
            check(declared, "reads", writes=writes)


@given(st.text())
def test_any_text_is_one_spelling_or_an_error(declared: str) -> None:
    with suppress(InvalidInput):
        once = check(declared, "reads")
        assert check(once, "reads") == once
        assert ".." not in PurePosixPath(once).parts


@pytest.mark.parametrize(
    "declared",
    ["/proc/self/root/etc", "/proc/self/cwd", "/proc/self/fd/0", "/proc/thread-self/root"],
)
def test_links_that_only_the_kernel_can_make_are_not_followed(
    workspace: Path, declared: str
) -> None:
    with Paths(workspace) as paths, pytest.raises(InvalidInput):
        paths.read([declared])


def test_an_absolute_path_is_no_way_round(make: Callable[[], Path], tmp_path: Path) -> None:
    """What no skill reads or writes it does not by its whole name either, nor through a link."""
    root = make()
    (tmp_path / "aside").symlink_to(root)
    for name in (*NEVER_READ, "data/vault"):
        with Paths(root) as paths, pytest.raises(InvalidInput):
            paths.read([str(root / name)])
        with Paths(root) as paths, pytest.raises(InvalidInput):
            paths.read([str(tmp_path / "aside" / name)])
    for name in ("config.yaml", "memory", "memory/memory.db", "skills/s.py", "data/root", "."):
        for base in (root, tmp_path / "aside"):
            with Paths(root) as paths, pytest.raises(InvalidInput):
                paths.write([str(base / name)])
    with Paths(root) as paths:
        assert "memory/vault" not in true_paths(root, paths.read([str(root)]))


def test_a_memory_that_lies_elsewhere_is_kept_back_there(tmp_path: Path) -> None:
    """Behind a link of the operator's own."""
    root, elsewhere = tmp_path.resolve() / "ws", tmp_path.resolve() / "elsewhere"
    root.mkdir()
    (elsewhere / "vault").mkdir(parents=True)
    (elsewhere / "memory.db").touch()
    (root / "memory").symlink_to(elsewhere)
    with Paths(root) as paths, pytest.raises(InvalidInput):
        paths.read([str(elsewhere / "vault")])
    with Paths(root) as paths, pytest.raises(InvalidInput):
        paths.write([str(elsewhere / "memory.db")])
    with Paths(root) as paths:
        found = list(map(target, paths.read([str(elsewhere)])))
    assert found == [elsewhere / "memory.db"]


def test_what_was_opened_stays_what_it_was(make: Callable[[], Path]) -> None:
    """A swap after the check changes what the name means, not what the run gets."""
    root = make()
    with Paths(root) as paths:
        (opened,) = paths.read(["data/d.csv"])
        (root / "data" / "d.csv").unlink()
        (root / "data" / "d.csv").symlink_to("/etc/passwd")
        assert Path(f"/proc/self/fd/{opened.descriptor}").read_text() == "data/d.csv"


def test_a_thread_that_swaps_names_gets_nothing_opened_from_outside(tmp_path: Path) -> None:
    root, outside = tmp_path.resolve() / "ws", tmp_path.resolve() / "outside"
    for folder in (root / "real", outside / "sub"):
        folder.mkdir(parents=True)
    (root / "real" / "file.txt").write_text("ours")
    (outside / "file.txt").write_text("theirs")
    (root / "link").symlink_to(outside)
    (root / "at").mkdir()
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for name in ("real", "link"):
                with suppress(OSError):
                    (root / "at").rename(root / "kept")
                    (root / name).rename(root / "at")
                    (root / "at").rename(root / name)
                    (root / "kept").rename(root / "at")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for turn in range(400):
            with Paths(root) as paths, suppress(InvalidInput):
                opened = [*paths.read(["at/file.txt"]), *paths.write([f"at/sub/{turn}.txt"])]
                assert all(target(one).is_relative_to(root) for one in opened)
    finally:
        done.set()
        thread.join()
    assert not list((outside / "sub").iterdir())


def test_everything_is_closed_again(make: Callable[[], Path]) -> None:
    root = make()
    before = set(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        with Paths(root) as paths:
            paths.read([".", "data", "memory"])
            paths.write(["data/new/a.txt", "data"])
        with Paths(root) as paths, suppress(InvalidInput):
            paths.read([".", "out"])
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_the_users_own_keys_are_never_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever they lie, and also where they are asked for by their absolute path."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "dino" / "keys").mkdir(parents=True)
    (tmp_path / "home" / "notes").touch()
    (tmp_path / "workspace").mkdir()
    with Paths(tmp_path / "workspace") as paths:
        with pytest.raises(InvalidInput, match="holds secrets"):
            paths.read([str(tmp_path / "home" / "dino" / "keys")])
        with pytest.raises(InvalidInput, match="would let it change keys"):
            paths.write([str(tmp_path / "home")])
        given = [opened.path for opened in paths.read([str(tmp_path / "home")])]
    assert given == [str(tmp_path / "home" / "notes")]
