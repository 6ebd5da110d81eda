"""
Which skills a model is shown: at most eight tools at once, the rest by `find_skill`.

Many schemas in every request are slow to read for a small model, and drown it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from dino_os.agent.schema import by_tool_name, description
from dino_os.skill_index import Skill

FIND_SKILL = "find_skill"
MOST_TOOLS = 8
_MOST_FOUND = 3
_SAME_BEGINNING = 5  # letters: "reports" finds "report", "forecasting" finds "forecast"
_NAME_COUNTS = 3.0
_word = re.compile(r"[^\W_]{2,}")


class Offer:
    """
    The tools of one run: all of the skills where they are few, else those that fit *goal* best.

    Args:
        used: Tool names to begin with, the last one used at the end.

    Raises:
        SkillConflict: Two skills would have one name.
    """

    def __init__(self, skills: Iterable[Skill], goal: str, used: Iterable[str] = ()) -> None:
        known = list(skills)
        self.finds = len(known) > MOST_TOOLS
        self.skills: Mapping[str, Skill] = by_tool_name(
            known, taken=FIND_SKILL if self.finds else ""
        )
        self._shown: list[str] = []
        self._show([*reversed(_ranked(self.skills, goal)), *used])

    @property
    def shown(self) -> list[str]:
        """The tool names that a model has now, in the order of the alphabet."""
        return sorted(self._shown)

    def find(self, query: str) -> list[dict[str, str]]:
        """Show the skills that fit *query* best, in place of those that were not used longest."""
        found = _ranked(self.skills, query, least=0.0)[:_MOST_FOUND]
        self._show(reversed(found))
        return [{"tool": name, "does": description(self.skills[name])} for name in found]

    def use(self, name: str) -> None:
        self._show([name])

    def _show(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.skills:
                self._shown = [*(n for n in self._shown if n != name), name]
        if self.finds:
            self._shown = self._shown[-(MOST_TOOLS - 1) :]


def _ranked(skills: Mapping[str, Skill], query: str, least: float = -1.0) -> list[str]:
    """
    Tool names whose score is above *least*, best first.

    A word that few skills have weighs more: inverse document frequency.
    """
    texts = {name: (_words(s.name), _words(s.doc)) for name, s in skills.items()}
    asked = _words(query)
    having = {word: sum(word in n | d for n, d in texts.values()) for word in asked}
    weight = {word: math.log(1 + len(texts) / count) for word, count in having.items() if count}

    def score(name: str) -> float:
        in_name, in_doc = texts[name]
        return sum(
            worth * (_NAME_COUNTS * (word in in_name) + (word in in_doc))
            for word, worth in weight.items()
        )

    scores = {name: score(name) for name in skills}
    return sorted((n for n in scores if scores[n] > least), key=lambda n: (-scores[n], n))


def _words(text: str) -> set[str]:
    return {found.lower()[:_SAME_BEGINNING] for found in _word.findall(text.replace("_", " "))}
