"""
Questions that wait until a model can be asked.

    waiting ──▶ answered
      │  ▲ nobody there: again at a stated time
      ▼  │
    given up, dropped

The state is a fold over `llm_queue.jsonl`.  Each question ends in exactly one record.  An attempt
is on record before it is made, with the run that it is, so that of an answer whose end nobody lived
to tell the run says so, and it is not asked for again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from dino_os.errors import InvalidInput, NotFound
from engines import checks
from engines.engine import Engine
from engines.journal import Event, Journal

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 900.0
KEEP_S = 30 * 86400.0
_ENDED = 1000  # so many of those that have ended are remembered
_DOUBLINGS = 8
_MOST_BYTES = 256 * 1024
_OF_A_REASON = 300


@dataclass(slots=True)
class Queued:
    """
    A question.

    Attributes:
        prompt: What is asked; secrets are taken out before it is kept.
        options: Whom to ask and how, by the names of `core.OPTIONS`.
        due: From when on it is to be tried.
        run: The run of the last attempt.
        answer: What came of it.
    """

    id: str
    prompt: str
    options: Mapping[str, Any]
    by: str
    queued: float
    due: float
    state: str = "waiting"
    attempts: int = 0
    reason: str = ""
    run: str | None = None
    answer: str | None = None
    ended: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "state": self.state,
            "prompt": self.prompt,
            "options": dict(self.options),
            "by": self.by,
            "queued_at": checks.time_text(self.queued),
            "attempts": self.attempts,
            "reason": self.reason or None,
            "due_at": checks.time_text(self.due) if self.state == "waiting" else None,
            "ended_at": checks.time_text(self.ended),
            "run": self.run,
            "answer": self.answer,
        }


class LlmQueue(Engine):
    """
    The questions of a workspace.

    Args:
        journal: Where events go and state comes from; None keeps them in memory.
        clean: What may be kept of a text.
        rng: Draws the pauses between attempts.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        clean: Callable[[Any], Any] = lambda value: value,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._clean = clean
        self._rng = rng or random.Random()  # noqa: S311  it spreads load, and hides nothing
        super().__init__(journal, clock=clock)

    def reset(self) -> None:
        self._waiting: dict[str, Queued] = {}
        self._ended: dict[str, Queued] = {}

    # --- commands ----------------------------------------------------------------------------

    def queue(self, prompt: str, options: Mapping[str, Any], *, by: str, reason: str = "") -> str:
        """
        Keep a question until somebody can be asked; its id.

        Raises:
            InvalidInput: It is too long to wait here.
        """
        said = str(self._clean(prompt))
        if len(said.encode()) > _MOST_BYTES:
            raise InvalidInput(f"a prompt that waits has at most {_MOST_BYTES:,} bytes")
        id_ = uuid4().hex[:12]
        with self.deciding():
            self.record(
                "llm_queued",
                id=id_,
                prompt=said,
                options=self._clean(dict(options)),
                actor=by,
                reason=str(self._clean(reason))[:_OF_A_REASON],
                at=self.clock(),
            )
        return id_

    def begin(self, id_: str, run: str) -> bool:
        """Record that *run* is an attempt at it; False where it waits no more."""
        with self.deciding():
            if id_ not in self._waiting:
                return False
            self.record("llm_tried", id=id_, run=run)
        return True

    def answered(self, id_: str, answer: str) -> None:
        """Record the answer; nothing where it waits no more."""
        self._end("llm_answered", id_, answer=self._clean(answer))

    def failed(self, id_: str, reason: str, *, for_good: bool = False) -> None:
        """Record that an attempt came to nothing: it is tried again, or given up."""
        why = str(self._clean(reason))[:_OF_A_REASON]
        with self.deciding():
            one = self._waiting.get(id_)
            if one is None:
                return
            now = self.clock()
            if for_good or now - one.queued >= KEEP_S:
                self.record("llm_given_up", id=id_, reason=why, at=now)
                return
            self.record(
                "llm_failed",
                id=id_,
                reason=why,
                at=now,
                again_at=now + self._pause_s(one.attempts - 1),
            )

    def drop(self, id_: str, *, by: str) -> None:
        """
        Take it out: nobody is to be asked any more.

        Raises:
            NotFound: There is none that waits.
        """
        with self.deciding():
            found = self._find(id_)
            if found.state != "waiting":
                raise InvalidInput(f"{found.id} does not wait: it is {found.state}")
            self.record("llm_dropped", id=found.id, actor=by, at=self.clock())

    def _end(self, kind: str, id_: str, **facts: Any) -> None:
        with self.deciding():
            if id_ in self._waiting:
                self.record(kind, id=id_, at=self.clock(), **facts)

    # --- queries -----------------------------------------------------------------------------

    def all(self) -> list[Queued]:
        """Those that wait, oldest first, and behind them those that ended, latest first."""
        self.refresh()
        return [*self._waiting.values(), *reversed(self._ended.values())]

    def due(self, now: float) -> list[Queued]:
        """What is to be tried at *now*, oldest first."""
        # Later than the longest pause is a clock that was set back: nobody knows how far.
        return [o for o in self._waiting.values() if not now < o.due <= now + LONGEST_PAUSE_S]

    def waiting(self) -> Sequence[Queued]:
        """Those that wait, oldest first."""
        return [*self._waiting.values()]

    def next_due(self) -> float | None:
        latest = self.clock() + LONGEST_PAUSE_S
        return min((min(one.due, latest) for one in self._waiting.values()), default=None)

    def find(self, id_: str) -> Queued:
        """
        The one of that id.

        Raises:
            NotFound: There is none, or it is long forgotten.
        """
        self.refresh()
        return self._find(id_)

    def _find(self, id_: str) -> Queued:
        known = {**self._ended, **self._waiting}
        if id_ in known:
            return known[id_]
        raise NotFound(
            f"no question {id_!r} is queued{checks.did_you_mean(id_, known)}",
            hint="`dino llm queue` shows them",
        )

    def _pause_s(self, attempts: int) -> float:
        """Doubling, with jitter; see the outbox."""
        most = min(FIRST_PAUSE_S * 2 ** min(attempts, _DOUBLINGS), LONGEST_PAUSE_S)
        return self._rng.uniform(most / 2, most)

    # --- folding -----------------------------------------------------------------------------

    def apply_llm_queued(self, event: Event) -> None:
        self._waiting[event["id"]] = Queued(
            event["id"],
            event["prompt"],
            event["options"],
            event["actor"],
            event["at"],
            event["at"],
            reason=event["reason"],
        )

    def apply_llm_tried(self, event: Event) -> None:
        one = self._waiting[event["id"]]
        one.attempts += 1
        one.run = event["run"]

    def apply_llm_failed(self, event: Event) -> None:
        one = self._waiting[event["id"]]
        one.reason, one.due = event["reason"], event["again_at"]

    def apply_llm_answered(self, event: Event) -> None:
        one = self._gone(event, "answered")
        one.answer, one.reason = event["answer"], ""

    def apply_llm_given_up(self, event: Event) -> None:
        self._gone(event, "given_up").reason = event["reason"]

    def apply_llm_dropped(self, event: Event) -> None:
        self._gone(event, "dropped")

    def _gone(self, event: Event, state: str) -> Queued:
        one = self._waiting.pop(event["id"])
        one.state, one.ended = state, event["at"]
        self._ended[one.id] = one
        if len(self._ended) > _ENDED:
            del self._ended[next(iter(self._ended))]
        return one
