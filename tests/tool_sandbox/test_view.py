"""What a sandboxed process sees: laws of the list of places, and of bubblewrap's command line."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.tool_sandbox import bubblewrap, view
from dino_os.tool_sandbox.kernel import landlock
from dino_os.tool_sandbox.paths import Opened
from dino_os.tool_sandbox.view import Kind

BWRAP = "/usr/bin/bwrap"
# Names that a careless command line would take for something else.
names = st.sampled_from(
    ["a", "b", "-c", "--bind", " d e ", "f\ng", "é", "$(id)", ";", "--", "\u202e"]
)
relative = st.lists(names, min_size=1, max_size=4).map("/".join)
folders = st.sampled_from(["/home/ws", "/tmp/ws", "/srv/w s", "/srv/-ws", "/tmp", "/srv/w\ns/é"])
declared = st.lists(relative | relative.map("/data/".__add__), max_size=5)


def opened(folder: str, paths: list[str]) -> list[Opened]:
    """As `Paths` hands them out; the descriptors are numbers only."""
    return [Opened(str(PurePosixPath(folder, path)), at) for at, path in enumerate(paths, 10)]


def seen(folder: str, reads: list[str], writes: list[str]) -> list[view.Place]:
    return view.places(Path(folder), opened(folder, reads), opened(folder, writes))


@given(folders, declared, declared)
def test_what_lies_deeper_is_mounted_into_what_lies_above(
    folder: str, reads: list[str], writes: list[str]
) -> None:
    """Else the upper one, mounted later, would hide it, or undo its being read-only."""
    paths = [PurePosixPath(place.path) for place in seen(folder, reads, writes)]
    for at, path in enumerate(paths):
        assert not any(path != later and path.is_relative_to(later) for later in paths[at + 1 :])


@given(folders, declared, declared)
def test_what_was_asked_for_is_there_and_nothing_else_is_granted(
    folder: str, reads: list[str], writes: list[str]
) -> None:
    granted = [place for place in seen(folder, reads, writes) if place.granted]
    absolute = {str(PurePosixPath(folder, path)) for path in writes}
    assert {place.path for place in granted if place.kind is Kind.WRITE} == absolute
    for place in granted:
        assert place.descriptor is not None, "a path could be swapped"
        assert place.kind is Kind.WRITE or any(
            place.path == str(PurePosixPath(folder, path)) for path in reads
        )
    for path in reads:
        there = PurePosixPath(folder, path)
        assert any(there.is_relative_to(place.path) for place in granted)


@given(folders, declared, declared)
def test_what_may_only_be_read_within_what_may_be_written_may_be_written(
    folder: str, reads: list[str], writes: list[str]
) -> None:
    """A grant for more is not taken back by another for less: the order does not matter."""
    places = [place for place in seen(folder, reads, writes) if place.granted]
    written = [place.path for place in places if place.kind is Kind.WRITE]
    for place in places:
        if place.kind is Kind.READ:
            assert not any(PurePosixPath(place.path).is_relative_to(path) for path in written)


@given(folders, declared, declared)
def test_nothing_of_a_policy_can_become_an_option_of_bubblewraps(
    folder: str, reads: list[str], writes: list[str]
) -> None:
    """Every option is one of ours, and each is followed by as many paths as it takes."""
    command = bubblewrap.arguments(BWRAP, seen(folder, reads, writes), scratch_bytes=1)
    taken = {"--ro-bind": 2, "--bind": 2, "--symlink": 2, "--dir": 1, "--proc": 1, "--dev": 1}
    taken |= {"--size": 1, "--tmpfs": 1, "--remount-ro": 1, "--cap-drop": 1, "--hostname": 1}
    rest = iter(command[1:])
    for option in rest:
        assert option.startswith("--")
        assert option in taken or option.startswith(("--unshare-", "--die-", "--new-session"))
        arguments = [next(rest) for _ in range(taken.get(option, 0))]
        assert not [text for text in arguments if text.startswith("-")]
        assert not [text for text in arguments if "\0" in text]
    assert command[-2:] == ["--remount-ro", "/"]


@given(folders, declared, declared)
def test_what_is_granted_is_named_by_descriptor(
    folder: str, reads: list[str], writes: list[str]
) -> None:
    places = seen(folder, reads, writes)
    command = bubblewrap.arguments(BWRAP, places, scratch_bytes=1)
    for place in (place for place in places if place.granted):
        source = f"/proc/self/fd/{place.descriptor}"
        assert (source, place.path) in itertools.pairwise(command)


@given(folders)
def test_the_temporary_folder_is_the_runs_own(folder: str) -> None:
    """`/tmp` leads to the scratch folder, but where the workspace or Python itself lies there."""
    places = {place.path: place for place in seen(folder, [], [])}
    if folder.startswith("/tmp"):
        assert places.get("/tmp", places[folder]).kind is Kind.FOLDER
    elif any(place.path.startswith("/tmp/") for place in view.runtime()):
        assert "/tmp" not in places
    else:
        assert places["/tmp"].kind is Kind.LINK
        assert places["/tmp"].source == "run/dino"


def test_a_workspace_is_an_empty_folder_where_nothing_was_granted() -> None:
    own = [place for place in seen("/srv/w", [], []) if place.path.startswith("/srv")]
    assert [(place.path, place.kind) for place in own] == [("/srv/w", Kind.FOLDER)]


def test_a_workspace_that_is_a_virtual_environment_is_not_seen_whole(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `python -m venv .` makes it: what is installed is seen, and nothing else of it."""
    for name in ("lib", "bin", "memory", "skills"):
        (workspace / name).mkdir(exist_ok=True)
    monkeypatch.setattr(sys, "prefix", str(workspace))
    monkeypatch.setattr(sys, "exec_prefix", str(workspace))
    view.runtime.cache_clear()
    try:
        own = [p for p in seen(str(workspace), [], []) if p.path.startswith(str(workspace))]
    finally:
        view.runtime.cache_clear()
    found = {p.path.removeprefix(str(workspace)): p.kind for p in own}
    assert found == {"": Kind.FOLDER, "/lib": Kind.READ, "/bin": Kind.READ}


def test_nothing_of_the_house_is_seen_but_its_code() -> None:
    """Neither tests nor skills, nor a workspace that the house is at the same time."""
    places = [place.path for place in view.runtime() if place.path.startswith(str(view.HOUSE))]
    assert {Path(path).name for path in places} >= {"dino_os", "engines"}
    assert str(view.HOUSE) not in places


@pytest.mark.parametrize("programs", [False, True])
@pytest.mark.parametrize("mounted", [False, True])
@given(declared, declared)
def test_landlock_allows_what_is_mounted_and_no_more(
    mounted: bool, programs: bool, reads: list[str], writes: list[str]
) -> None:
    places = seen("/srv/w", reads, writes)
    rules = view.rules(places, mounted=mounted, programs=programs)
    if mounted:
        assert rules[0] == {"path": "/", "rights": landlock.READ_DIR, "descriptor": None}
        rules = rules[1:]
    named = [place for place in places if place.kind in {Kind.READ, Kind.WRITE}]
    assert [rule["path"] for rule in rules] == [place.path for place in named]
    for rule, place in zip(rules, named, strict=True):
        rights = rule["rights"]
        assert isinstance(rights, int)
        assert bool(rights & landlock.WRITE_FILE) == (place.kind is Kind.WRITE)
        assert bool(rights & landlock.EXECUTE) == (programs and not place.granted)
        assert rule["descriptor"] == (None if mounted else place.descriptor)


def test_the_interpreter_is_a_program_and_no_shim() -> None:
    assert os.access(view.interpreter(), os.X_OK)
    assert not Path(view.interpreter()).is_symlink()
    assert all(Path(path).is_absolute() for path in view.search_path())
    assert view.search_path()[-1] == str(view.HOUSE)
