"""
Calls of models, as far as the budget lets them.

A call is recorded before its first byte leaves, under the lock, and only where it fits the budget
together with all that is spent and all that others have reserved: limits fail closed, however many
processes ask at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

from engines import checks
from engines.agent_log.errors import BudgetSpent, WrongState
from engines.agent_log.fold import Reserved, day_of
from engines.agent_log.model import OUTCOMES, AgentRun, Budget, Spent, State
from engines.agent_log.reading import AgentReadings
from engines.errors import InvalidInput

OF_A_REASON = 300  # characters


class AgentSpending(AgentReadings):
    """What models were asked, and what it took; takes what `AgentLog` takes."""

    def reserve(
        self,
        run: str,
        provider: str,
        model: str,
        *,
        tokens: int,
        money: float,
        budget: Budget | None = None,
    ) -> str:
        """
        Record that a model is about to be asked; the id of the call.

        Args:
            tokens: As many as it may take, question and answer together; `money` as much.
            budget: What it must fit into together with what is spent, and what calls that have not
                ended have reserved, whoever was killed meanwhile; None has no limits.

        Raises:
            BudgetSpent: It does not fit; the call must not be made.
            WrongState: The run is not under way.
        """
        checks.at_least(tokens, 0, "tokens")
        checks.at_least(money, 0, "money")
        with self.deciding():
            found = self._under_way(run)
            amounts = {"calls": 1, "tokens": tokens, "money": money}
            if budget:
                _fit(amounts, budget.of_day(), self._taken_of_day(), "day")
                _fit(amounts, budget.of_run(), self._taken_of_run(found), "run")
            call = uuid4().hex
            facts = {"provider": provider, "model": model, "tokens": tokens, "money": money}
            self.record("model_call_started", run=run, call=call, **facts)
        return call

    def called(
        self,
        call: str,
        *,
        outcome: str,
        input_tokens: int = 0,
        output_tokens: int = 0,
        money: float = 0.0,
        duration_s: float = 0.0,
        why: str = "",
        tried: Iterable[Mapping[str, str]] = (),
        request: Any = None,
        response: Any = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> None:
        """
        Record what became of a call that was reserved, also of one whose run has ended since.

        Args:
            request: The messages that are new since the run's last call, JSON, screened.
            response: What came back, likewise.
            provider: Who answered, where that is another than was reserved; `model` likewise.

        Raises:
            WrongState: No such call is open.
        """
        for name, amount in (("input_tokens", input_tokens), ("output_tokens", output_tokens)):
            checks.at_least(amount, 0, name)
        checks.at_least(money, 0, "money")
        with self.deciding():
            begun = self._reserved.get(call)
            if begun is None:
                raise WrongState(f"no call {call} of a model is open")
            self.record(
                "model_call_finished",
                run=begun.run,
                call=call,
                **{name: said for name, said in (("provider", provider), ("model", model)) if said},
                outcome=checked(outcome),
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                money=money,
                duration_s=round(duration_s, 6),
                why=str(self._clean(why))[:OF_A_REASON],
                tried=[dict(one) for one in tried],
                **self._kept("request", request),
                **self._kept("response", response),
            )

    # --- below the face ----------------------------------------------------------------------

    def _kept(self, name: str, value: Any) -> dict[str, Any]:
        return self._contents.keep(name, self._clean(value))

    def _under_way(self, run: str) -> AgentRun:
        found = self._known(run)
        if found.state is not State.RUNNING:
            raise WrongState(f"run {run} is not under way: it is {found.state.value}")
        return found

    def _taken_of_day(self) -> dict[str, float]:
        day = day_of(self.clock())
        open_ = (one for one in self._reserved.values() if one.day == day)
        return _taken(self._days.get(day, Spent()), open_)

    def _taken_of_run(self, run: AgentRun) -> dict[str, float]:
        return _taken(run.spent, (one for one in self._reserved.values() if one.run == run.id))


def _taken(spent: Spent, reserved: Iterable[Reserved]) -> dict[str, float]:
    """What is spent or reserved; calls are spent once they are reserved."""
    total = spent
    for one in reserved:
        total = total.plus(tokens=one.tokens, money=one.money)
    return total.as_dict()


def checked(outcome: str) -> str:
    """*outcome*, where it is one of the closed set."""
    if outcome not in OUTCOMES:
        raise InvalidInput(f"no outcome {outcome!r}{checks.did_you_mean(outcome, OUTCOMES)}")
    return outcome


def _fit(
    wanted: Mapping[str, float],
    limits: Mapping[str, float | None],
    taken: Mapping[str, float],
    per: str,
) -> None:
    for what, limit in limits.items():
        # Sums of prices are a little off what their parts add up to.
        if limit is not None and round(taken[what] + wanted[what] - limit, 9) > 0:
            raise BudgetSpent(what, per, limit=limit, taken=taken[what], wanted=wanted[what])
