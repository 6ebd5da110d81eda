"""Wildcards mean what they mean to NATS, and the tree of subjects finds what matching finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.message_bus.subject import Interest, check_channel, check_subject, matches

TOKENS = st.sampled_from(["", "a", "b", "A", "a b", "é", "$", "(x)"])
CHANNELS = st.lists(TOKENS, min_size=1, max_size=5).map(".".join).filter(str.strip)


@st.composite
def subjects(draw: st.DrawFn) -> str:
    tokens = draw(st.lists(TOKENS | st.just("*"), min_size=1, max_size=5))
    if draw(st.booleans()):
        tokens.append(">")
    return ".".join(tokens)


SUBJECTS = subjects().filter(str.strip)


def naive(subject: str, channel: str) -> bool:
    """By a regular expression, token by token."""
    parts = {"*": r"[^.]*", ">": r".*"}
    tokens = subject.split(".")
    return re.fullmatch(r"\.".join(parts.get(t, re.escape(t)) for t in tokens), channel) is not None


@given(SUBJECTS, CHANNELS)
def test_matching_is_what_a_regular_expression_says(subject: str, channel: str) -> None:
    assert check_subject(subject) == subject
    assert matches(subject, channel) == naive(subject, channel)


@given(st.lists(SUBJECTS, max_size=12), st.data(), CHANNELS)
def test_the_tree_finds_what_matching_finds(
    wanted: list[str], data: st.DataObject, channel: str
) -> None:
    """In the order in which they came, also after some have gone."""
    interest: Interest[int] = Interest()
    for number, subject in enumerate(wanted):
        interest.add(subject, number)
        interest.find(channel)  # what was found before is no excuse
    gone = data.draw(st.sets(st.sampled_from(range(len(wanted))))) if wanted else set[int]()
    for number in gone:
        assert interest.remove(wanted[number], number)
        assert not interest.remove(wanted[number], number)
    left = {n: s for n, s in enumerate(wanted) if n not in gone}
    assert interest.find(channel) == tuple(n for n, s in left.items() if naive(s, channel))
    assert interest.subjects() == sorted(set(left.values()))
    assert set(interest.values()) == set(left)
    assert bool(interest) == bool(left)


def test_one_value_of_several_subjects_is_found_once() -> None:
    interest: Interest[str] = Interest()
    for subject in ("a.>", "b", "a.*", "a.b", ">"):
        interest.add(subject, "x")
    interest.add("a.b", "y")
    assert interest.find("a.b") == ("x", "y")
    assert (interest.at("a.b"), interest.at("a"), interest.at("c.d")) == (("x", "y"), (), ())


@pytest.mark.parametrize(
    ("subject", "channel", "heard"),
    [
        ("orders.*.paid", "orders.7.paid", True),
        ("orders.*.paid", "orders.7.8.paid", False),
        ("sensors.>", "sensors.a.b", True),
        ("sensors.>", "sensors", False),
        (">", "anything", True),
        ("*", "a.b", False),
        ("a", "A", False),
    ],
)
def test_the_guides_examples(subject: str, channel: str, heard: bool) -> None:
    assert matches(subject, channel) is heard


@pytest.mark.parametrize("subject", ["a*", "*a.b", "a.>b", ">.a", "a.>.>", "**"])
def test_a_wildcard_is_a_whole_token_and_the_rest_the_last(subject: str) -> None:
    with pytest.raises(InvalidInput, match="channel"):
        check_subject(subject)


@given(SUBJECTS)
def test_a_channel_is_a_subject_without_wildcards(subject: str) -> None:
    if {"*", ">"} & set(subject):
        with pytest.raises(InvalidInput, match="wildcards"):
            check_channel(subject)
    else:
        assert check_channel(subject) == subject
