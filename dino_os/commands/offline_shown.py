"""What `dino offline` shows to people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dino_os.commands import output

if TYPE_CHECKING:
    from engines.drill import Hour, Result


def show_status(found: Mapping[str, Any]) -> None:
    documents = output.counted(found["documents"], "document")
    conflicts = output.counted(found["conflicts"], "conflict")
    output.heading(f"{documents}, {conflicts}")
    waiting = {name: count for name, count in found["queue"].items() if count}
    told = ", ".join(f"{name.replace('_', ' ')} {_short(n)}" for name, n in waiting.items())
    output.say(f"requests    {told or 'none waits'}")
    if found["remote"] is None:
        output.say("remote      none; `dino config set cache.remote URL` names one")
    else:
        keeps = ", kept up by the service" if found["continuous"] else ""
        output.say(f"remote      {found['remote']}, {found['direction']}{keeps}")
    if found["to_push"]:
        output.say(f"to push     {output.counted(found['to_push'], 'document')}")
    for direction, facts in found["syncs"].items():
        moved = output.counted(facts["docs_written"], "document")
        denied = ", ".join(facts.get("denied", ()))
        told = f"; did not get through: {denied}" if denied else ""
        output.say(f"last {direction:<6} {facts['at'][:19]}, {moved}{told}")
    for direction, since in found["failing_since"].items():
        output.say(f"no {direction:<8} since {since[:19]}: the remote is not reached, or refuses")
    if drill := found["simulation"]:
        what = "proved" if drill["ok"] else "FAILED"
        output.say(
            f"last drill  {drill['at'][:19]}, {what}: {drill['survived']:,} of "
            f"{drill['met_outage']:,} survived {drill['hours']} h"
        )


def _short(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def show_sync(outcomes: Sequence[Mapping[str, Any]], sent: Mapping[str, int] | None) -> None:
    if sent is not None:
        told = ", ".join(f"{count} {name}" for name, count in sent.items() if count)
        output.say(f"requests: {told or 'none is due'}")
    for one in outcomes:
        if not one["reached"]:
            output.say(f"{one['direction']}: not reached, kept for the next time: {one['reason']}")
            continue
        written = output.counted(one["docs_written"], "document")
        refused = f", {one['doc_write_failures']} refused" if one["doc_write_failures"] else ""
        output.say(f"{one['direction']}: {written}{refused}, in {one['seconds']:.2f} s")
        for failure in one["errors"]:
            output.say(f"  {failure['id']}: {failure['error']}: {failure['reason']}")


def show_simulation(result: Result) -> None:
    hours = len(result.hours)
    kinds = ", ".join(f"{name} {count:,}" for name, count in result.operations.items())
    output.heading(f"{output.counted(hours, 'hour')}, seed {result.seed}: {kinds}")
    columns = ("hour", "network", "made", "sent", "moved", "failed", "waiting")
    output.table(columns, [_row(hour) for hour in result.hours], numbers=columns[2:])
    faults = ", ".join(f"{n.replace('_', ' ')} {c:,}" for n, c in result.faults.items() if c)
    output.say()
    output.say(f"the network: {faults}; {result.attempts_failed:,} attempts came to nothing")
    if result.proof.repeated:
        output.say(f"{result.proof.repeated:,} requests came again and were known by their keys")
    output.say(
        f"{result.edits:,} edits and {result.requests:,} requests; {len(result.met_outage):,} met "
        f"an outage: {result.survived:,} survived, {result.lost:,} lost, {result.doubled:,} doubled"
    )
    for problem in result.proof.problems:
        output.say(f"  {problem}")
    end = "everything arrived once, and both sides are equal" if result.ok else "NOT PROVED"
    output.say(f"{end} ({result.seconds:.1f} s)")


def _row(hour: Hour) -> tuple[Any, ...]:
    times = Counter(hour.turns)
    share = 60 // max(len(hour.turns), 1)
    network = ", ".join(f"{name} {count * share} min" for name, count in times.items())
    return (hour.number, network, hour.made, hour.sent, hour.moved, hour.failed, hour.waiting)
