"""The part `agent_core` of a workspace: what programs and skills ask of language models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from dino_os import run_context
from dino_os.agent_core.session import Session, Wanted
from dino_os.errors import Denied, InvalidInput
from engines.checks import at_least, did_you_mean

if TYPE_CHECKING:
    from dino_os.agent_core.providers import Provider
    from dino_os.workspace import Workspace

OPTIONS: Mapping[str, tuple[type, ...]] = {
    "provider": (str,),
    "model": (str,),
    "system": (str,),
    "max_tokens": (int,),
    "temperature": (int, float),
    "local_only": (bool,),
    "labels": (list, tuple),
}


class Core:
    """
    Asks the models of *workspace*, each question a run of its own.

    Args:
        entity: The skill that asks; None where it is a program.
        given: The provider that is asked instead of those of the settings.
        until: When its run ends, on the monotonic clock.
    """

    CALLS: ClassVar = frozenset({"run", "chat"})

    def __init__(
        self,
        workspace: Workspace,
        entity: str | None = None,
        until: float = math.inf,
        *,
        given: Provider | None = None,
    ) -> None:
        self._given = given
        self._workspace = workspace
        self._entity = entity
        self._until = until

    def run(self, prompt: str, **options: Any) -> str:
        """
        The answer to *prompt*; the *options* are those in `OPTIONS`.

        Raises:
            DinoError: There is none, and why.
        """
        with self._session(prompt, wanted(options)) as session:
            return session.say(prompt)

    def stream(self, prompt: str, **options: Any) -> Iterator[str]:
        """The same, piece by piece."""
        with self._session(prompt, wanted(options)) as session:
            yield from session.stream(prompt)

    def chat(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> str:
        """The answer to the last of *messages*, each {"role", "content"}."""
        from dino_os.agent_core.messages import from_roles  # noqa: PLC0415  with the library
        from dino_os.agent_core.opening import require_library  # noqa: PLC0415  as above

        require_library()
        said = from_roles(messages)
        asked = str(messages[-1]["content"])
        self._check_key(str(messages))
        with self._session(asked, wanted(options)) as session:
            session.history = said
            return "".join(session.go_on(streams=False))

    def _session(self, goal: str, wanted: Wanted) -> Session:
        if not isinstance(goal, str) or not goal.strip():
            raise InvalidInput("a prompt is a text, and not an empty one")
        self._check_key(goal)
        here = run_context.current()
        return Session(
            self._workspace,
            "skill" if self._entity else "ask",
            goal,
            replace(wanted, given=self._given),
            actor=self._entity,
            parent=here.run_id if here else None,
            until=self._until,
        )

    def _check_key(self, text: str) -> None:
        """A key that a program gave is in no vault, so nothing else would know it."""
        find = self._given.key if self._given else None
        if find and find().reveal() in text:
            raise Denied("the prompt holds the key; it is neither recorded nor sent")


def wanted(options: Mapping[str, Any]) -> Wanted:
    """
    *options* by their names.

    Raises:
        InvalidInput: There is no such option, or it is none.
    """
    asked = {name: value for name, value in options.items() if value is not None}
    for name, value in asked.items():
        if name not in OPTIONS:
            raise InvalidInput(f"no option {name!r}{did_you_mean(name, OPTIONS)}")
        if not isinstance(value, OPTIONS[name]):
            expected = " or ".join(kind.__name__ for kind in OPTIONS[name])
            raise InvalidInput(f"{name}: expected {expected}, found {type(value).__name__}")
    # Below 1 it is no limit at all to some servers, and takes from what the budget reserves.
    at_least(asked.get("max_tokens", 1), 1, "max_tokens")
    return Wanted(**asked)
