"""`dino persona`: research, execution and risk, and what a model may add to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.enriched import show_enrichment
from dino_os.commands.scenario import takes_scenario
from dino_os.commands.vault import open_vault
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.personas.model import ROLES
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.personas.comparing import Comparison
    from dino_os.planning.scenario import Scenario

_persona = click.argument("name", metavar="PERSONA", type=click.Choice([*ROLES]))


@click.group(
    epilog=options.example("dino persona", "dino persona run examples/fire-duty/scenario.yaml"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def persona(ctx: click.Context, as_json: bool) -> None:
    """Personas: who turns records into signals, and what a model may add."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_personas, as_json=as_json)


@persona.command("list", epilog=options.example("dino persona list --json"))
@options.as_json
@pass_workspace
def list_personas(workspace: Workspace, as_json: bool) -> None:
    """The three, in their order, and which of them ask a model."""
    found = [_described(workspace, name) for name in ROLES]
    if as_json:
        output.emit_json({"personas": found})
        return
    rows = [(p["persona"], p["does"], "on" if p["model"] else "off", p["may"]) for p in found]
    output.table(("persona", "does", "model", "which may"), rows)


@persona.command(epilog=options.example("dino persona show risk --json"))
@_persona
@options.as_json
@pass_workspace
def show(workspace: Workspace, name: str, as_json: bool) -> None:
    """One persona: what it does, and how far a model's influence reaches."""
    found = _described(workspace, name)
    if as_json:
        output.emit_json(found)
        return
    output.heading(name)
    output.say(f"{found['does']}; played by {found['actor']}")
    output.say(f"a model {'is' if found['model'] else 'is not'} asked; what it may: {found['may']}")
    if name == "risk":
        output.say(f"severity band: {found['severity_band']:g}")
    output.say(f"of a cycle, {found['most']:,} signals in at most {found['timeout_s']:g} s")


@persona.command(
    epilog=options.example(
        "dino persona run examples/fire-duty/scenario.yaml --persona risk",
        "dino persona run --signals calls.csv --map map.yaml --zones zones.yaml \\",
        "                 --sectors sectors.yaml --agents agents.yaml --json",
    )
)
@takes_scenario
@click.option(
    "--persona",
    "asking",
    multiple=True,
    type=click.Choice([*ROLES]),
    help="Whose model is asked; several times for several.  [default: all three]",
)
@click.option("--no-model", is_flag=True, help="Ask no model.")
@options.show
@options.as_json
@pass_workspace
def run(
    workspace: Workspace,
    plan: Scenario,
    asking: tuple[str, ...],
    show: int,
    no_model: bool,
    as_json: bool,
) -> None:
    """
    Run the personas over a SCENARIO's records, or a file of them, and show both results.

    The deterministic one and, beside it, what a model adds to the gravest signals.  Nothing is
    planned or recorded, but for what the model was asked and said.
    """
    from dino_os.personas.comparing import compare  # noqa: PLC0415  the engines, on first use
    from dino_os.personas.enrichment import enrichment_of  # noqa: PLC0415

    skills = (skill for agent in plan.agents for skill in agent.skills)
    enrichment = None
    if not no_model:
        open_vault(workspace)
        enrichment = enrichment_of(workspace, skills, personas=asking or ROLES)
    found = compare(workspace, plan, enrichment, most=show or None)
    if as_json:
        output.emit_json(found.as_dict())
    else:
        _render(found, show)


@persona.command(
    epilog=options.example(
        "dino persona configure research --model on",
        "dino persona configure risk --model on --severity-band 0.1",
    )
)
@_persona
@click.option("--model", type=click.Choice(["on", "off"]), help="Whether its model is asked.")
@click.option(
    "--severity-band",
    type=options.SHARE,
    metavar="SHARE",
    help="How much the model of risk may raise a severity.",
)
@options.as_json
@pass_workspace
def configure(
    workspace: Workspace,
    name: str,
    model: str | None,
    severity_band: float | None,
    as_json: bool,
) -> None:
    """Let a persona ask a model in each cycle, or no more, in config.yaml."""
    if model is None and severity_band is None:
        raise click.UsageError("say what to change: --model, --severity-band")
    if severity_band is not None:
        if name != "risk":
            raise InvalidInput(f"{name} judges no severity; the band is risk's")
        workspace.config.set("personas.risk.severity_band", severity_band)
    if model is not None:
        workspace.config.set(f"personas.{name}.model", model == "on")
    found = _described(workspace, name)
    band = f", severity band {found['severity_band']:g}" if name == "risk" else ""
    text = f"{name}: model {'on' if found['model'] else 'off'}{band}"
    output.answer(found, text, as_json=as_json)


def _described(workspace: Workspace, name: str) -> dict[str, Any]:
    from engines.personas import get_dynamic_start_agents  # noqa: PLC0415

    settings = workspace.config.settings.personas
    own = getattr(settings, name)
    does, may = ROLES[name]
    actor = type(get_dynamic_start_agents()[name])
    found = {
        "persona": name,
        "does": does,
        "actor": f"{actor.__module__}.{actor.__qualname__}",
        "model": own.model,
        "may": may,
        "most": settings.most,
        "timeout_s": settings.timeout_s,
    }
    return found | ({"severity_band": own.severity_band} if name == "risk" else {})


def _render(found: Comparison, show: int) -> None:
    output.heading(f"{found.scenario}: {output.counted(found.signals, 'signal')}")
    rows = []
    for pair in found.pairs:
        before, after = pair.deterministic, pair.enriched
        rows.append((*_row(before), "" if after == before else _differences(before, after)))
    output.table(("severity", "signal", "skills", "with a model"), rows, numbers=("severity",))
    output.more(found.signals - len(found.pairs), "signal")
    if found.rejected:
        output.say(f"{output.counted(len(found.rejected), 'record')} rejected")
    plain, enriched = found.escalated
    output.say(f"{plain:,} escalated" + (f", {enriched:,} with a model" if found.told else ""))
    show_enrichment(found.told, show)


def _row(signal: Any) -> tuple[str, str, str]:
    skills = ", ".join(signal["required_skills"])
    return f"{signal['severity']:.2f}", signal["summary"], skills


def _differences(before: Any, after: Any) -> str:
    told = []
    if after["severity"] != before["severity"]:
        told.append(f"severity {after['severity']:.2f}")
    if after["required_skills"] != before["required_skills"]:
        told.append(f"skills {', '.join(after['required_skills'])}")
    if after["summary"] != before["summary"]:
        told.append(after["summary"].removeprefix(before["summary"]).lstrip("; "))
    if after["argument"]:
        told.append(f"because {after['argument']}")
    return "; ".join(told)
