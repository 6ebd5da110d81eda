"""How `dino trajectory` shows plans, fronts and rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dino_os.commands import output

if TYPE_CHECKING:
    from engines.trajectory import Front, Plan, Rule


def show_plan(plan: Plan) -> None:
    output.heading(f"{', '.join(plan.goals)}: cost {plan.cost:g}, {proof(plan)}")
    show_steps(plan.steps)
    if plan.must:
        output.say(f"in every plan: {', '.join(plan.must)}")
    fair = plan.fairness
    if fair.burdens:
        borne = ", ".join(f"{party} {amount:g}" for party, amount in fair.burdens.items())
        output.say(f"burdens: {borne}; at most {fair.max_burden:g}, Jain's index {fair.jain:.2f}")
    if any(fair.gains.values()):
        gained = ", ".join(f"{party} {amount:g}" for party, amount in fair.gains.items())
        output.say(
            f"gains: {gained}; at least {fair.min_gain:g}, Jain's index {fair.jain_gains:.2f}"
        )
    output.say(f"fold {plan.fold}")


def proof(plan: Plan) -> str:
    """What is known of how much cheaper it could be."""
    if plan.optimal:
        return "proven least"
    gap = "" if plan.gap is None else f", at most {plan.gap:.1%} too much"
    return f"at least {plan.bound:g}{gap}{' (the time was up)' if plan.cut else ''}"


def show_front(front: Front) -> None:
    first = front.plans[0]
    all_told = "all there is" if front.exact else "as far as it was found"
    output.heading(f"{', '.join(first.goals)}: cost against the greatest burden, {all_told}")
    rows = [
        (
            "knee" if number == front.knee else "",
            f"{plan.cost:g}",
            f"{plan.fairness.max_burden:g}",
            f"{plan.fairness.jain:.2f}",
            " ".join(rule.rule_id for rule in plan.steps),
        )
        for number, plan in enumerate(front.plans)
    ]
    columns = ("", "cost", "burden", "Jain", "rules")
    output.table(columns, rows, numbers=("cost", "burden", "Jain"))
    output.say(f"no plan costs less than {first.bound:g}")


def show_steps(rules: Iterable[Rule]) -> None:
    rows = [
        (
            rule.rule_id,
            f"{rule.cost:g}",
            rule.conclusion,
            ", ".join(rule.premises) or "nothing",
            ", ".join(f"{party} {share:.0%}" for party, share in rule.bearers),
        )
        for rule in rules
    ]
    output.table(("rule", "cost", "gives", "from", "borne by"), rows, numbers=("cost",))
