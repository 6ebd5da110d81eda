"""Skills as tools: what a model is told of them, and which it has at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.agent.offer import FIND_SKILL, MOST_TOOLS, Offer
from dino_os.agent.schema import by_tool_name, description, parameters_schema, tool_name
from dino_os.errors import SkillConflict
from dino_os.skill_index import Skill, read_skills


def skills(folder: Path, code: str) -> list[Skill]:
    file = folder / "mine.py"
    file.write_text(f"from dino_os import skill\nfrom typing import Literal\n{code}")
    return read_skills(file, "workspace")


def named(*names: str) -> list[Skill]:
    return [Skill(name, Path("x.py"), 1, "workspace", "0" * 64, doc=name) for name in names]


@given(st.text(min_size=1))
def test_every_provider_takes_the_names(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool_name(name))


def test_names_are_those_of_the_skills_where_they_can_be() -> None:
    assert tool_name("forecast") == "forecast"
    assert tool_name("weather.forecast") == "weather__forecast"
    assert tool_name("prüfe") != tool_name("pröfe")
    assert tool_name("a" * 80) != tool_name("a" * 81)


def test_two_skills_of_one_name_are_refused_not_renamed() -> None:
    with pytest.raises(SkillConflict, match=r"both 'a\.b' and the skill 'a__b' 'a__b'"):
        by_tool_name(named("a.b", "a__b"))


def test_a_schema_says_what_the_signature_says(tmp_path: Path) -> None:
    """Types, choices, what is needed, what it is for; nothing that is not known."""
    code = '''
@skill
def all_of_it(where: str, n: int, share: float, on: bool, tags: list[str], kinds: list[Literal["a", "b"]],
              how: Literal["fast", "safe"] = "safe", more: dict | None = None, x=1.5, sep: str = chr(9)) -> None:
    """Do all
    of it.

    And more.

    Args:
        where: The place.
    """
'''
    [skill] = skills(tmp_path, code)
    assert description(skill) == "Do all of it."
    assert parameters_schema(skill) == {
        "type": "object",
        "properties": {
            "where": {"type": "string", "description": "The place."},
            "n": {"type": "integer"},
            "share": {"type": "number"},
            "on": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "kinds": {"type": "array", "items": {"enum": ["a", "b"]}},
            "how": {"enum": ["fast", "safe"]},
            "more": {"type": "object"},
            "x": {"default": 1.5},
            "sep": {"type": "string"},
        },
        "required": ["where", "n", "share", "on", "tags", "kinds"],
        "additionalProperties": False,
    }


def test_few_skills_are_all_there() -> None:
    offer = Offer(named(*"abcdefgh"), "anything")
    assert not offer.finds
    assert offer.shown == [*"abcdefgh"]


NAMES = ("send_mail", "read_gauges", *(f"other_{letter}" for letter in "abcdefghij"))


def test_of_many_those_are_there_that_fit_the_goal() -> None:
    offer = Offer(named(*NAMES), "which gauge is odd?")
    assert offer.finds
    assert len(offer.shown) == MOST_TOOLS - 1
    assert "read_gauges" in offer.shown
    assert "send_mail" not in offer.shown


def test_those_found_take_the_place_of_those_not_used_longest() -> None:
    offer = Offer(named(*NAMES), "gauges")
    offer.use("read_gauges")
    assert offer.find("mailing") == []
    assert offer.find("send a mail")[0]["tool"] == "send_mail"
    assert {"read_gauges", "send_mail"} <= set(offer.shown)
    assert len(offer.shown) == MOST_TOOLS - 1


def test_a_run_that_goes_on_has_what_it_used() -> None:
    assert {"other_a", "send_mail"} <= set(
        Offer(named(*NAMES), "gauges", used=["other_a", "send_mail", "gone"]).shown
    )


def test_no_skill_hides_the_tool_that_finds_others() -> None:
    assert Offer(named(FIND_SKILL), "").shown == [FIND_SKILL]  # where it is not needed
    with pytest.raises(SkillConflict, match=r"a tool of Dino's"):
        Offer(named(*NAMES, FIND_SKILL), "")
