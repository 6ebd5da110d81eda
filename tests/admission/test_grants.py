"""Laws of grants: what is covered stays covered when it is less, and never becomes more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dino_os.errors import Denied, InvalidInput
from dino_os.grants import Grant, Permissions, Request, check, decide

LISTS = ("reads", "writes", "reaches", "keys")
path_parts = st.sampled_from(["data", "reports", "a", "b", "x é", "data2"])
paths = st.lists(path_parts, min_size=1, max_size=3).map("/".join)
paths = paths | paths.map("/srv/".__add__) | paths.map("{}/".format)
hosts = st.sampled_from(
    ["api.weather.gov", "weather.gov", "*.weather.gov", "evilweather.gov", "a.b.weather.gov",
     "api.weather.gov:8443", "*.gov", "127.0.0.1:80", "xweather.gov"]
)  # fmt: skip
keys = st.sampled_from(["weather", "mail", "weather2"])


def some(items: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(items, max_size=3, unique=True).map(tuple)


permissions = st.builds(
    Permissions, some(paths), some(paths), some(hosts), some(keys), st.booleans()
)
HASH, OTHER = "1" * 64, "2" * 64
grants = st.builds(Grant, permissions, st.sampled_from([HASH, None]))


def covered(asked: Permissions, there: list[Grant], sha256: str = HASH) -> bool:
    try:
        decide(Request("mine", sha256, asked), there)
    except Denied:
        return False
    return True


@st.composite
def less(draw: st.DrawFn, whole: Permissions) -> Permissions:
    """Some of *whole*, each path perhaps deeper."""
    parts: dict[str, Any] = {}
    for name in LISTS:
        kept = [item for item in getattr(whole, name) if draw(st.booleans())]
        if name in {"reads", "writes"}:
            kept = [f"{item.rstrip('/')}/deeper" if draw(st.booleans()) else item for item in kept]
        parts[name] = tuple(kept)
    return Permissions(**parts, programs=whole.programs and draw(st.booleans()))


@given(permissions)
def test_what_was_granted_as_it_was_asked_is_covered(asked: Permissions) -> None:
    assert covered(asked, [Grant(asked, HASH)])
    assert covered(asked, [Grant(asked, None)])
    assert not asked.without(asked)


@given(st.data(), permissions, st.lists(grants, max_size=3))
def test_less_of_what_is_covered_is_covered(
    data: st.DataObject, asked: Permissions, there: list[Grant]
) -> None:
    there = [*there, Grant(asked, HASH)]
    assert covered(data.draw(less(asked)), there)


@given(permissions, st.lists(grants, max_size=3), grants)
def test_another_grant_never_takes_anything_back(
    asked: Permissions, there: list[Grant], more: Grant
) -> None:
    if covered(asked, there):
        assert covered(asked, [*there, more])
        assert covered(asked, [more, *there])


@given(permissions, st.sampled_from([*LISTS, "programs"]))
def test_more_than_was_granted_is_never_covered(asked: Permissions, wider: str) -> None:
    new: dict[str, Any] = {
        "reads": (*asked.reads, "elsewhere"),
        "writes": (*asked.writes, "elsewhere"),
        "reaches": (*asked.reaches, "elsewhere.example"),
        "keys": (*asked.keys, "elsewhere"),
        "programs": True,
    }
    assume(not (wider == "programs" and asked.programs))
    more = replace(asked, **{wider: new[wider]})
    assert not covered(more, [Grant(asked, None)])
    left = more.without(asked)
    assert left.as_dict() == {wider: True if wider == "programs" else [new[wider][-1]]}


@given(permissions, permissions)
def test_a_changed_source_needs_another_grant_unless_it_was_for_any(
    asked: Permissions, granted: Permissions
) -> None:
    assume(asked)
    assert not covered(asked, [Grant(asked, OTHER), Grant(granted, OTHER)])
    assert covered(asked, [Grant(asked, None)], sha256=OTHER)
    with pytest.raises(Denied, match="its source has changed since it was granted"):
        decide(Request("mine", HASH, asked), [Grant(asked, OTHER)])


@given(st.lists(grants, max_size=3))
def test_who_asks_for_nothing_needs_nothing(there: list[Grant]) -> None:
    assert covered(Permissions(), there)


@given(permissions)
def test_what_is_not_granted_is_not_covered(asked: Permissions) -> None:
    assert covered(asked, []) == (not asked)


@pytest.mark.parametrize(
    ("granted", "asked", "covers"),
    [
        ("data", "data/deep/er", True),
        ("data/", "data", True),
        ("data", "data/", True),
        ("data", "data2", False),
        ("data/deep", "data", False),
        ("data", "data/../secret", False),
        ("data/..", "data", False),
        ("data", "/data", False),
        ("/data", "data", False),
        (".", "data", True),
        ("data", "./data", True),
        ("data", "data//x", True),
        ("data", "DATA", False),
    ],
)
def test_a_path_covers_what_lies_in_it(granted: str, asked: str, covers: bool) -> None:
    assert (
        covered(Permissions(reads=(asked,)), [Grant(Permissions(reads=(granted,)), None)]) == covers
    )


def test_to_change_is_to_read_but_not_the_other_way() -> None:
    may_write = Grant(Permissions(writes=("data",)), None)
    may_read = Grant(Permissions(reads=("data",)), None)
    assert covered(Permissions(reads=("data/x",)), [may_write])
    assert not covered(Permissions(writes=("data/x",)), [may_read])


@pytest.mark.parametrize(
    ("granted", "asked", "covers"),
    [
        ("*.weather.gov", "api.weather.gov", True),
        ("*.weather.gov", "a.b.weather.gov", True),
        ("*.weather.gov", "weather.gov", False),
        ("*.weather.gov", "evilweather.gov", False),
        ("*.weather.gov", "*.weather.gov", True),
        ("*.gov", "*.weather.gov", False),  # rather too little: grant it as it is asked
        ("weather.gov", "api.weather.gov", False),
        ("api.weather.gov", "*.weather.gov", False),
        ("api.weather.gov", "api.weather.gov:8443", False),
        ("api.weather.gov:8443", "api.weather.gov", False),
        ("*.weather.gov", "api.weather.gov:8443", False),
    ],
)
def test_a_host_covers_itself_and_with_a_star_those_below_it(
    granted: str, asked: str, covers: bool
) -> None:
    one, other = Permissions(reaches=(asked,)), Permissions(reaches=(granted,))
    assert covered(one, [Grant(other, None)]) == covers


def test_two_grants_may_cover_together_what_neither_does() -> None:
    asked = Permissions(reads=("data",), keys=("weather",))
    half, rest = Permissions(reads=("data",)), Permissions(keys=("weather",))
    assert covered(asked, [Grant(half, HASH), Grant(rest, None)])
    assert not covered(asked, [Grant(half, HASH), Grant(rest, OTHER)])


@given(permissions)
def test_permissions_are_read_as_they_are_written(asked: Permissions) -> None:
    assert Permissions.of(asked.as_dict()) == asked
    assert len(asked.words()) == len(asked.as_dict())
    assert bool(asked) == bool(asked.as_dict())


@pytest.mark.parametrize(
    "asked",
    [{"writes": ["memory"]}, {"writes": ["."]}, {"writes": ["skills/x.py"]}, {"reads": ["memory/vault"]},
     {"reads": ["../x"]}, {"reads": ["~"]}, {"reaches": ["http://x"]}, {"reaches": ["*"]}, {"reaches": [""]},
     {"writes": [""]}],
)  # fmt: skip
def test_what_nobody_can_grant_is_bad_input(asked: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidInput):
        check(Permissions.of(asked))
