"""
Whether a call of a skill that a model wants is made, is put to people first, or is refused.

What a skill asks for decides: one that only reads goes ahead, one that changes something, talks to
hosts or uses keys is put to people.  Text that nobody vouches for may hold instructions; once a run
has some, not even the settings let such a call go ahead unseen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dino_os.grants import Permissions, Request
from dino_os.skill_index import Skill

_of_others = re.compile(r"^from dino_os\.(?:mcp|skill_md) import inside\b", re.MULTILINE)


class Word(StrEnum):
    """What becomes of a call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a call, and why it is not simply made."""

    word: Word
    why: str = ""


class Policy:
    """
    The policy of one run.

    Args:
        configured: Skill → what the settings say of it: allow, ask or deny.
        request: What a skill asks for, in the source that it has now.
        covers: Whether what was granted covers that.
        besides: What else the gateway allows a skill: more than all of them are.
        ask_each: Put every call to people.
    """

    def __init__(
        self,
        configured: Mapping[str, str],
        *,
        request: Callable[[Skill], Request],
        covers: Callable[[Request], bool],
        besides: Callable[[str], Collection[str]],
        ask_each: bool = False,
    ) -> None:
        self._configured = configured
        self._request = request
        self._covers = covers
        self._besides = besides
        self._ask_each = ask_each

    def judge(self, skill: Skill, *, tainted: bool) -> Verdict:
        """
        What becomes of a call of *skill*.

        Args:
            tainted: Whether the context holds text that nobody vouches for.

        Raises:
            InvalidInput: The skill cannot be read, or asks for what nobody can grant.
        """
        request = self._request(skill)
        if why := self._why_not(request):
            return Verdict(Word.DENY, why)
        why = self._why_ask(request, tainted=tainted)
        return Verdict(Word.ASK, why) if why else Verdict(Word.ALLOW)

    def _why_not(self, request: Request) -> str:
        if self._configured.get(request.name) == Word.DENY:
            return "the settings keep it from models (agent.skills)"
        if self._covers(request):
            return ""
        lacks = "; ".join(request.permissions.words())
        return f"it was not granted what it asks for: {lacks} (dino grant {request.name})"

    def _why_ask(self, request: Request, *, tainted: bool) -> str:
        said = self._configured.get(request.name)
        acts = acting(request.permissions)
        if besides := sorted(self._besides(request.name)):
            acts.append(f"use {', '.join(besides)} of Dino")
        if acts and (tainted or said != Word.ALLOW):
            more = ", and the context holds text that nobody vouches for" if tainted else ""
            return f"it may {'; '.join(acts)}{more}"
        if self._ask_each:
            return "each call is to be approved (--approve)"
        return "the settings ask for it (agent.skills)" if said == Word.ASK else ""


def acting(permissions: Permissions) -> list[str]:
    """What of these is more than looking, for people."""
    more = Permissions(
        writes=permissions.writes,
        reaches=permissions.reaches,
        keys=permissions.keys,
        programs=permissions.programs,
    )
    return more.words()


def speaks_for_others(file: Path) -> bool:
    """Whether what its skills say of themselves came with them: from an MCP server, or a folder."""
    try:
        return _of_others.search(file.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:  # it is gone: nobody can tell
        return True
