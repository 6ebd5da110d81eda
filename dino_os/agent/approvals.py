"""What people decide of a call that a run was parked for, and the run that goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dino_os.agent.endings import Ended
from dino_os.agent.running import MakeModel, go_on
from dino_os.errors import Denied
from engines.agent_log import AgentRun, Approval, State, WrongState

if TYPE_CHECKING:
    from dino_os.agent.watching import Watch
    from dino_os.workspace import Workspace


def decide(
    workspace: Workspace,
    approval: str,
    *,
    approved: bool,
    watch: Watch | None = None,
    model: MakeModel | None = None,
) -> Ended:
    """
    Allow the call or refuse it, and go on with its run once nothing else of it waits.

    Where that was decided so before, and whoever did was killed or could not go on, it goes on.

    Raises:
        NoSuchApproval: Nothing of that id waits.
        WrongState: It was decided already, or its run is not parked.
        Denied: The skill has changed since it was asked for.
    """
    log = workspace.agent_log
    one = log.approval(approval)
    run = log.run(one.run)
    if one.approved is None:
        if run.state is State.INTERRUPTED and not approved:
            return _ended(workspace, one)
        _check_parked(run)
        if approved:
            _check_unchanged(workspace, one)
        _decide(workspace, one, approved=approved)
    others = [log.approval(other.id) for other in log.waiting() if other.run == run.id]
    if one.approved is not None and not (one.approved is approved and _is_left(run, others)):
        word = "allowed" if one.approved else "refused"
        raise WrongState(f"approval {approval} was {word} by {one.by} already")
    if others:
        return Ended(run.id, None, waiting=tuple(others))
    try:
        return go_on(workspace, run.id, model=model, watch=watch)
    except WrongState:
        if log.run(run.id).state is not State.RUNNING:
            raise
        return Ended(run.id, None)  # whoever decided the last of its calls just now has it


def _decide(workspace: Workspace, one: Approval, *, approved: bool) -> None:
    actor, _, door = workspace.operator.rpartition("@")
    workspace.agent_log.decide(one.id, approved, by=actor, door=door)


def _ended(workspace: Workspace, one: Approval) -> Ended:
    """The end of a run whose process was killed before it was parked, and which cannot go on."""
    error = Denied("the call was refused, and its run had been killed before it was parked")
    _decide(workspace, one, approved=False)
    workspace.agent_log.finish(one.run, "denied", error=error.message)
    return Ended(one.run, "denied", error=error)


def _is_left(run: AgentRun, others: Sequence[Approval]) -> bool:
    """Whether nobody goes on, though all is decided: whoever was to was killed, or could not."""
    return run.state is State.INTERRUPTED or (run.state is State.PARKED and not others)


def _check_parked(run: AgentRun) -> None:
    if run.state is State.PARKED:
        return
    running = run.state is State.RUNNING
    hint = "it is decided where the run is" if running else "refuse the call with --deny"
    raise WrongState(f"run {run.id} is not parked: it is {run.state.value}", hint=hint)


def _check_unchanged(workspace: Workspace, one: Approval) -> None:
    """What is allowed is what was shown: the arguments, and the skill as it was then."""
    skill = workspace.plugins.skills().find(one.skill)
    if workspace.admission.request(skill)[0].sha256 == one.source_sha256:
        return
    raise Denied(
        f"skill {one.skill!r} has changed since this call was asked for, and is not run",
        hint=f"dino approve {one.id} --deny refuses the call; then begin a new run",
    )
