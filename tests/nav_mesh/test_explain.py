"""Any decision can be made once more from the record, and comes out the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput, NotFound
from engines.nav_mesh import GateRule, Rules, ThresholdDomain
from tests.nav_mesh.kit import Site

FEW = Rules({ThresholdDomain.INFO: GateRule(rate_per_minute=3, token_s=600)})


def decisions(site: Site) -> list[dict[str, Any]]:
    kinds = ("gate_allowed", "gate_denied", "gate_limited", "gate_queued")
    events = map(json.loads, site.log.read_text().splitlines())
    return [event for event in events if event["event_type"] in kinds]


class Story:
    """Things that happen at a gate; each step is drawn."""

    def __init__(self, site: Site) -> None:
        self.site, self.tokens = site, [site.nav.issue_token("info", "ada")]

    def issue(self, number: int) -> None:
        once, user = bool(number % 2), ("ada", "grace")[number % 3 % 2]
        self.tokens.append(self.site.nav.issue_token("info", user, single_use=once))

    def use(self, number: int) -> None:
        token = self.tokens[number % len(self.tokens)]
        user, domain = ("ada", "ada", "grace")[number % 3], ("info",) * 7 + ("wealth",)
        self.site.nav.decide(domain[number % 8], token, user)

    def rubbish(self, number: int) -> None:
        self.site.nav.decide("info", "x" * number, "eve", offline=number % 4 == 0)

    def revoke(self, number: int) -> None:
        token = self.tokens[number % len(self.tokens)]
        self.site.nav.revoke(token_id=self.site.nav.claims_of(token).token_id)

    def rotate(self, number: int) -> None:
        if number % 3 == 0:
            self.site.nav.rotate("info")

    def wait(self, number: int) -> None:
        self.site.clock.go(number * 3)

    def keep_out(self, number: int) -> None:
        self.site.nav.block("info", self.site.nav.pseudonym("grace"), number + 1)


STEPS: list[Callable[[Story, int], None]] = [
    *(Story.use, Story.use, Story.use, Story.issue, Story.rubbish, Story.revoke, Story.rotate),
    *(Story.wait, Story.keep_out),
]


@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 60)), max_size=25))
@settings(max_examples=15)
def test_what_can_be_decided_again_comes_out_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, int]]
) -> None:
    site = Site(tmp_path_factory.mktemp("story"), FEW)
    story = Story(site)
    for step, number in steps:
        step(story, number)
    site.nav.close()
    for event in decisions(site):
        found = site.nav.explain(event["seq"])
        assert found.agrees is not False, found
        assert (found.agrees is None) == (found.note is not None)
        if event["event_type"] == "gate_allowed":
            assert found.agrees


def test_an_answer_that_no_rule_gives_is_found(site: Site) -> None:
    """By an auditor with other rules, here; by a record that was made up."""
    token = site.nav.issue_token("info", "ada")
    for _ in range(4):
        site.nav.decide("info", token, "ada")
    last = decisions(site)[-1]["seq"]
    assert site.nav.explain(last).as_dict()["agrees"] is True
    found = site.open(FEW).explain(last)
    assert (found.recorded, found.found, found.agrees) == ("ok", "lives_too_long", False)
    assert found.token
    assert found.token["subject"] == site.nav.pseudonym("ada")


def test_what_is_no_decision_is_said(site: Site, tmp_path: Path) -> None:
    site.nav.issue_token("info", "ada")
    with pytest.raises(InvalidInput, match="no decision"):
        site.nav.explain(1)
    with pytest.raises(NotFound, match="no line 99"):
        site.nav.explain(99)
