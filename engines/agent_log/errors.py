"""
What the record of models says no with.

DinoError
├── BudgetSpent                     a limit would be passed           exit 3
└── InvalidInput
    ├── NotFound ── NoSuchRun, NoSuchApproval                         exit 2
    └── WrongState                  not while the run is as it is     exit 2
"""

from __future__ import annotations

from engines.errors import DinoError, InvalidInput, NotFound


def amount_text(amount: float) -> str:
    """As "2,000,000" or "0.25"."""
    return f"{amount:,.6f}".rstrip("0").rstrip(".")


class NoSuchRun(NotFound):
    """No run of a model has that id."""


class NoSuchApproval(NotFound):
    """No call that waits to be approved has that id."""


class WrongState(InvalidInput):
    """It cannot be done with a run, a call or an approval that is as it is."""


class BudgetSpent(DinoError):
    """
    A call of a model would pass a limit; it was not made.

    Attributes:
        what: calls, tokens or money.
        per: day or run.
        limit: How much there may be.
        taken: How much of it is spent or reserved.
        wanted: How much the call may take.
    """

    exit_code = 3

    def __init__(self, what: str, per: str, *, limit: float, taken: float, wanted: float) -> None:
        self.what, self.per = what, per
        self.limit, self.taken, self.wanted = limit, taken, wanted
        super().__init__(
            f"the budget of {what} per {per} is spent: {amount_text(taken)} of "
            f"{amount_text(limit)} are taken, and the call may take {amount_text(wanted)}",
            hint="`llm.budget` in config.yaml sets it",
        )
