"""The last cycle from the record, for who takes over the duty desk."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dino_os import skill
from dino_os.errors import NotFound
from skills.second_opinion import second_opinion

_LITTLE = 0.005  # of a severity, which is told to two digits
_MOST_ASKED = 20
_MOST_NAMED = 3  # of each kind in the report


@skill(reads=["memory/", "config.yaml"], timeout="2m", memory="1GB", idempotent=True)
def duty_summary(show: int = 10, model: bool = True) -> dict[str, Any]:
    """
    Sum up the last planning cycle, as it stands in the record.

    Who does what, what is left over and why, what the plan is worth and how far from the best it
    is, and what has changed since the cycle before.

    Args:
        show: How many tasks of each kind to name, the gravest.
        model: Whether a model, where this skill may ask one, puts it into words.
    """
    from dino_os.workspace import Workspace

    show = max(show, 0)
    orchestrator = Workspace(Workspace.find().root, rehearsal=True).orchestrator()
    last = orchestrator.last_cycle
    if last is None:
        raise NotFound("no cycle is on record", hint="`dino plan-cycle` makes one")
    tasks = orchestrator.recall(last.cycle) or []
    before = _before(orchestrator, last.cycle - 1)
    who = _who(tasks, orchestrator.agents_of(last.cycle) or [], show)
    facts = {
        "cycle": last.cycle,
        "planned_at": last.planned_at.isoformat(timespec="seconds"),
        "tasks": last.tasks,
        "assigned": last.assigned,
        "left_over": last.unassigned,
        "plan": _worth(last.quality),
        "sectors_requiring_attention": [*last.sectors_requiring_attention],
        "who": who,
        "gravest": [_task(task) for task in tasks[:show]],
        "left": _left(tasks, show),
        "since_the_cycle_before": None if before is None else _changed(before, tasks, show),
    }
    said = "\n".join(_lines(facts))
    asked = "Brief whoever takes over this duty desk: what matters most now, and what has changed?"
    shown = {**facts, "who": dict([*who.items()][:_MOST_ASKED])}
    advice = second_opinion(asked, shown) if model else {"used": False, "why": "not asked"}
    if advice["used"]:
        said += f"\nA model says: {advice['says']}"
    return {"report": said, **facts, "model": advice}


def _before(orchestrator: Any, cycle: int) -> list[dict[str, Any]] | None:
    """The tasks of the cycle before; None where there was none, or it was pruned."""
    try:
        found: list[dict[str, Any]] | None = orchestrator.recall(cycle)
    except NotFound:
        return None
    return found


def _worth(quality: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if quality is None:
        return None
    return {name: quality[name] for name in ("method", "value", "bound", "gap", "optimal")}


def _who(
    tasks: Sequence[Mapping[str, Any]], agents: Sequence[Mapping[str, Any]], show: int
) -> dict[str, Any]:
    """Agent → how much it got, of which hours, and the gravest of it; who got most comes first."""
    hours = {agent["name"]: agent["available_hours"] for agent in agents}
    found: dict[str, dict[str, Any]] = {}
    for task in tasks:
        if not (name := task.get("agent")):
            continue
        own = found.setdefault(
            name, {"tasks": 0, "hours": 0.0, "of_hours": hours.get(name), "gravest": []}
        )
        own["tasks"] += 1
        own["hours"] = round(own["hours"] + task["estimated_effort_hours"], 3)
        if len(own["gravest"]) < show:
            own["gravest"].append(_task(task))
    return dict(sorted(found.items(), key=lambda one: (-one[1]["tasks"], one[0])))


def _left(tasks: Sequence[Mapping[str, Any]], show: int) -> dict[str, Any]:
    """What nobody got, and why."""
    nobody = [task for task in tasks if not task.get("agent")]
    causes = Counter(str(task.get("cause", "unknown")) for task in nobody)
    return {"causes": dict(causes.most_common()), "gravest": [_task(t) for t in nobody[:show]]}


def _changed(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], show: int
) -> dict[str, Any]:
    """What is new, gone, in other hands, graver or less grave; how many, and the gravest."""
    old = {task["task_id"]: task for task in before}
    new = {task["task_id"]: task for task in now}
    both = [(old[name], task) for name, task in new.items() if name in old]
    moved = [(a, b) for a, b in both if a.get("agent") != b.get("agent")]
    graver = [(a, b) for a, b in both if b["severity"] - a["severity"] > _LITTLE]
    milder = [(a, b) for a, b in both if a["severity"] - b["severity"] > _LITTLE]
    gone = [task for name, task in old.items() if name not in new]
    fresh = [task for name, task in new.items() if name not in old]
    return {
        "new": {"count": len(fresh), "tasks": [_task(task) for task in fresh[:show]]},
        "gone": {"count": len(gone), "tasks": [_task(task) for task in gone[:show]]},
        "in_other_hands": {
            "count": len(moved),
            "tasks": [{**_task(b), "was": a.get("agent") or "nobody"} for a, b in moved[:show]],
        },
        "graver": {
            "count": len(graver),
            "tasks": [{**_task(b), "was": round(a["severity"], 2)} for a, b in graver[:show]],
        },
        "less_grave": {"count": len(milder)},
    }


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "task": task["task_id"],
        "summary": task["summary"],
        "severity": round(task["severity"], 2),
        "zone": task["zone"],
        "agent": task.get("agent") or "nobody",
        "why": task.get("rationale") or task.get("reason") or "",
    }
    if enriched := task.get("metadata", {}).get("enriched"):
        told["a_model_changed"] = [change["field"] for change in enriched]
    return told


def _lines(facts: Mapping[str, Any]) -> list[str]:
    plan, change = facts["plan"], facts["since_the_cycle_before"]
    covered = f"{facts['assigned']} of {facts['tasks']} tasks have somebody"
    lines = [f"Cycle {facts['cycle']}, {facts['planned_at']}: {covered}."]
    if plan:
        gap = "how far off" if plan["gap"] is None else f"at most {plan['gap']:.2%} off"
        unknown = " is not known" if plan["gap"] is None else ""
        lines.append(f"The plan is worth {plan['value']:.2f}; {gap} the best{unknown}.")
    lines += [
        f"  {task['severity']:.2f}  {task['summary']}: {task['agent']}"
        for task in facts["gravest"][:_MOST_NAMED]
    ]
    for name, own in [*facts["who"].items()][:_MOST_NAMED]:
        of = f" of {own['of_hours']:g}" if own["of_hours"] is not None else ""
        lines.append(f"  {name}: {own['tasks']} tasks, {own['hours']:g}{of} h")
    lines += [
        f"  Nobody: {task['summary']} (severity {task['severity']}): {task['why']}"
        for task in facts["left"]["gravest"][:_MOST_NAMED]
    ]
    if attention := facts["sectors_requiring_attention"]:
        lines.append(f"Sectors needing attention: {', '.join(attention)}.")
    if change is None:
        return [*lines, "There is no cycle before it on record."]
    counts = (f"{part['count']} {name.replace('_', ' ')}" for name, part in change.items())
    return [*lines, f"Since the cycle before: {', '.join(counts)}."]
