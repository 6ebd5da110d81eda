"""What a model had done leads back to what it was asked, and to who allowed it."""

from __future__ import annotations

from dino_os.agent.running import run_goal
from dino_os.provenance.following import follow
from dino_os.workspace import Workspace
from engines.agent_log import Approval, ModelCall, ToolCall
from tests.agent.kit import Operator, call, say
from tests.agent.transcripts import Recorded


def test_a_skills_run_leads_back_to_the_model_and_the_people(home: Workspace) -> None:
    model = Recorded(home, [call("save", text="x")], [say("done")])
    ended = run_goal(home, "save", model=model, watch=Operator(True))
    steps = home.agent_log.steps(ended.run)
    [made] = [step for step in steps if isinstance(step, ToolCall)]
    [allowed] = [step for step in steps if isinstance(step, Approval)]
    asked = next(step for step in steps if isinstance(step, ModelCall))
    follow(home)
    graph = home.provenance.graph
    for cause in (
        f"run:{ended.run}",
        f"model_call:{asked.id}",
        "agent:scripted/m",
        f"approval:{allowed.id}",
        f"agent:{home.operator}",
    ):
        assert graph.path(f"run:{made.skill_run}", cause)
