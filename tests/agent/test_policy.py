"""Which calls are made, which are put to people, which are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dino_os.agent.policy import Policy, Word
from dino_os.grants import Request
from dino_os.skill_index import Skill

READS: dict[str, Any] = {"reads": ["data"]}
WRITES: dict[str, Any] = {"writes": ["out"]}
REACHES: dict[str, Any] = {"reaches": ["example.com"]}
KEYS: dict[str, Any] = {"keys": ["mail"]}
STARTS: dict[str, Any] = {"programs": True}


def judge(
    asks: Mapping[str, Any],
    said: str | None = None,
    *,
    tainted: bool = False,
    granted: bool = True,
    ask_each: bool = False,
    besides: tuple[str, ...] = (),
) -> tuple[Word, str]:
    skill = Skill("it", Path("x.py"), 1, "workspace", "0" * 64, options=dict(asks))
    policy = Policy(
        {"it": said} if said else {},
        request=lambda asked: Request.of(asked, "0" * 64),
        covers=lambda request: granted,
        besides=lambda name: besides,
        ask_each=ask_each,
    )
    verdict = policy.judge(skill, tainted=tainted)
    return verdict.word, verdict.why


@pytest.mark.parametrize("asks", [{}, READS], ids=["nothing", "reads"])
@pytest.mark.parametrize("tainted", [False, True])
def test_looking_is_allowed(asks: Mapping[str, Any], tainted: bool) -> None:
    assert judge(asks, tainted=tainted) == (Word.ALLOW, "")


@pytest.mark.parametrize("asks", [WRITES, REACHES, KEYS, STARTS])
def test_what_does_more_is_put_to_people(asks: Mapping[str, Any]) -> None:
    word, why = judge(asks)
    assert word is Word.ASK
    assert why.startswith("it may ")
    assert judge(asks, "allow") == (Word.ALLOW, "")


@pytest.mark.parametrize("asks", [WRITES, REACHES, KEYS, STARTS])
@pytest.mark.parametrize("said", [None, "allow", "ask"])
def test_nothing_lets_it_go_ahead_once_untrusted_text_is_there(
    asks: Mapping[str, Any], said: str | None
) -> None:
    word, why = judge(asks, said, tainted=True)
    assert word is Word.ASK
    assert "nobody vouches for" in why


def test_what_the_gateway_allows_besides_is_more_than_looking() -> None:
    assert judge({}, besides=("schedule_write",)) == (Word.ASK, "it may use schedule_write of Dino")


def test_the_settings_and_the_operator_ask_for_more() -> None:
    assert judge({}, "ask")[0] is Word.ASK
    assert judge({}, ask_each=True)[0] is Word.ASK
    assert judge({}, "allow", ask_each=True)[0] is Word.ASK


def test_what_is_not_granted_or_kept_from_models_is_refused() -> None:
    assert judge(WRITES, "allow", granted=False)[0] is Word.DENY
    assert "dino grant it" in judge(WRITES, granted=False)[1]
    assert judge({}, "deny", ask_each=True)[0] is Word.DENY
