"""`dino trajectory`: facts, rules with a cost, and the cheapest and fairest ways to a goal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.trajectory_shown import show_front, show_plan, show_steps
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace

_symbols = complete(lambda workspace: workspace.trajectories.symbols())
_rule_ids = complete(lambda workspace: [r.rule_id for r in workspace.trajectories.rules()])
_svg = click.option(
    "--svg",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the derivation into FILE.",
)


@click.group(
    epilog=options.example("dino trajectory", "dino trajectory plan --goal fish --front"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def trajectory(ctx: click.Context, as_json: bool) -> None:
    """What follows by rules with a cost, and the cheapest and fairest ways there."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


@trajectory.command(epilog=options.example("dino trajectory status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """How many facts and rules there are, what follows, and the last plan."""
    found = workspace.trajectories.get_status()
    if as_json:
        output.emit_json(found)
        return
    stated, rules = output.counted(found["facts"], "fact"), output.counted(found["rules"], "rule")
    output.say(
        f"{stated} stated, {rules}; {found['holding']:,} of {found['symbols']:,} symbols hold"
    )
    if found["parties"]:
        output.say(f"parties: {', '.join(found['parties'])}")
    if last := found["last_plan"]:
        goals = ", ".join(last["goals"]) or "all there is"
        output.say(f"last plan: {goals} for {last['cost']:g}, at least {last['bound']:g}")


# --- facts ---------------------------------------------------------------------------------------


@trajectory.group(epilog=options.example("dino trajectory facts"), invoke_without_command=True)
@click.pass_context
@options.as_json
def facts(ctx: click.Context, as_json: bool) -> None:
    """What is stated."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_facts, as_json=as_json)


@facts.command("list", epilog=options.example("dino trajectory facts list --json"))
@options.as_json
@pass_workspace
def list_facts(workspace: Workspace, as_json: bool) -> None:
    """Every fact that is stated, by symbol."""
    found = workspace.trajectories.facts()
    if as_json:
        output.emit_json({"facts": [{"symbol": f.symbol, "value": f.value} for f in found]})
    elif not found:
        output.say("no facts yet; `dino trajectory facts add` states one")
    else:
        output.table(("fact", "value"), [(f.symbol, _value_text(f.value)) for f in found])


@facts.command("add", epilog=options.example("dino trajectory facts add dock"))
@click.argument("symbol")
@click.argument("value", required=False)
@options.as_json
@pass_workspace
def add_fact(workspace: Workspace, symbol: str, value: str | None, as_json: bool) -> None:
    """State a fact; VALUE is JSON, or text.  With false or null it does not hold."""
    new = workspace.trajectories.add_fact(symbol, True if value is None else _value(value))
    document = {"symbol": new.symbol, "value": new.value}
    output.answer(document, f"{new.symbol}: {_value_text(new.value)}", as_json=as_json)


@facts.command("remove", epilog=options.example("dino trajectory facts remove dock"))
@click.argument("symbol", shell_complete=_symbols)
@options.as_json
@pass_workspace
def remove_fact(workspace: Workspace, symbol: str, as_json: bool) -> None:
    """State a fact no longer."""
    workspace.trajectories.remove_fact(symbol)
    output.answer({"removed": symbol}, f"{symbol!r} is stated no longer", as_json=as_json)


@facts.command("import", epilog=options.example("dino trajectory facts import rules.yaml"))
@options.file_argument("file")
@options.as_json
@pass_workspace
def import_facts(workspace: Workspace, file: Path, as_json: bool) -> None:
    """State the facts of a YAML file, all or none, and leave out its rules."""
    from dino_os.trajectory.files import load_rules  # noqa: PLC0415

    found, _ = load_rules(file)
    workspace.trajectories.add_facts(found)
    done = f"{output.counted(len(found), 'fact')} stated"
    output.answer({"facts": len(found)}, done, as_json=as_json)


# --- rules ---------------------------------------------------------------------------------------


@trajectory.group(epilog=options.example("dino trajectory rules"), invoke_without_command=True)
@click.pass_context
@options.as_json
def rules(ctx: click.Context, as_json: bool) -> None:
    """What follows from what, and its cost."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_rules, as_json=as_json, show=15)


@rules.command("list", epilog=options.example("dino trajectory rules list --show 0"))
@options.show
@options.as_json
@pass_workspace
def list_rules(workspace: Workspace, show: int, as_json: bool) -> None:
    """Every rule, by id."""
    found = workspace.trajectories.rules()
    if as_json:
        output.emit_json({"rules": [rule.as_dict() for rule in found]})
    elif not found:
        output.say("no rules yet; `dino trajectory rules add` or `import` makes some")
    else:
        shown, left = output.first_of(found, show)
        show_steps(shown)
        output.more(left, "rule")


@rules.command(
    "add",
    epilog=options.example(
        "dino trajectory rules add sail sea --if dock --if tide --cost 2 --bearer Ada=3 --bearer B"
    ),
)
@click.argument("rule_id")
@click.argument("conclusion")
@click.option("--if", "premises", multiple=True, help="A premise; may be given several times.")
@click.option("--cost", type=options.Within(min=0), default=1.0, show_default=True)
@click.option("--bearer", "bearers", multiple=True, metavar="PARTY[=SHARE]", help="Bears the cost.")
@click.option("--gains", "beneficiaries", multiple=True, metavar="PARTY[=AMOUNT]")
@options.as_json
@pass_workspace
def add_rule(workspace: Workspace, rule_id: str, as_json: bool, **given: Any) -> None:
    """Add a rule that concludes CONCLUSION, or change the one of that id."""
    for name in ("bearers", "beneficiaries"):
        given[name] = _parties(given[name], name)
    new = workspace.trajectories.add_rule(rule_id, **given)
    premised = " and ".join(new.premises) or "nothing"
    done = f"{new.rule_id}: {new.conclusion} from {premised}, cost {new.cost:g}"
    output.answer(new.as_dict(), done, as_json=as_json)


@rules.command("remove", epilog=options.example("dino trajectory rules remove sail"))
@click.argument("rule_id", shell_complete=_rule_ids)
@options.as_json
@pass_workspace
def remove_rule(workspace: Workspace, rule_id: str, as_json: bool) -> None:
    """Forget a rule."""
    workspace.trajectories.remove_rule(rule_id)
    output.answer({"removed": rule_id}, f"rule {rule_id!r} removed", as_json=as_json)


@rules.command(
    "import",
    epilog=options.example(
        "dino trajectory rules import rules.yaml",
        "dino trajectory rules import domain.pddl problem.pddl",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.as_json
@pass_workspace
def import_rules(workspace: Workspace, files: tuple[Path, ...], as_json: bool) -> None:
    """
    Add the rules and facts of a YAML file, or of a planning task in PDDL, all or none.

    Of PDDL (domain and problem) deletes are left out; the task's goal becomes the fact `goal`.
    """
    from dino_os.trajectory.files import load_any  # noqa: PLC0415

    found, made = load_any(files)
    with workspace.trajectories.deciding():
        workspace.trajectories.add_facts(found)
        workspace.trajectories.add_rules(made)
    done = f"{output.counted(len(made), 'rule')} and {output.counted(len(found), 'fact')} added"
    output.answer({"facts": len(found), "rules": len(made)}, done, as_json=as_json)


# --- plans ---------------------------------------------------------------------------------------


@trajectory.command(
    epilog=options.example(
        "dino trajectory plan --goal fish",
        "dino trajectory plan --goal fish --front --time-limit 5s --svg plan.svg",
    )
)
@click.option(
    "--goal",
    "goals",
    multiple=True,
    required=True,
    help="May be given several times.",
    shell_complete=_symbols,
)
@click.option("--front", is_flag=True, help="Cost against the greatest burden.")
@click.option("--max-burden", type=options.Within(min=0), help="What no party may bear more of.")
@click.option(
    "--gap",
    type=options.Within(min=0),
    default=0.0,
    show_default=True,
    help="Stop at a plan that costs at most this share more than proven.",
)
@click.option(
    "--time-limit",
    type=options.DURATION,
    help="Stop searching.  [default: as much effort on every machine]",
)
@click.option("--seed", type=int, default=0, show_default=True)
@_svg
@options.as_json
@pass_workspace
def plan(
    workspace: Workspace,
    goals: tuple[str, ...],
    front: bool,
    max_burden: float | None,
    svg: Path | None,
    as_json: bool,
    **limits: Any,
) -> None:
    """The cheapest plan to a goal, with a proven bound; recorded, but for a front."""
    if front and max_burden is not None:
        raise click.UsageError("--front shows what every burden costs; leave --max-burden out")
    if front:
        found = workspace.trajectories.front(goals, **limits)
        chosen, document = found.plans[found.knee], found.as_dict()
    else:
        found = None
        chosen = workspace.trajectories.plan(goals, max_burden=max_burden, **limits)
        document = chosen.as_dict()
    if svg:
        _draw(svg, chosen.steps, chosen.goals, f"{', '.join(chosen.goals)}: cost {chosen.cost:g}")
    if as_json:
        output.emit_json(document)
    elif found:
        show_front(found)
    else:
        show_plan(chosen)


@trajectory.command(epilog=options.example("dino trajectory explain fish --svg fish.svg"))
@click.argument("symbol", shell_complete=_symbols)
@_svg
@options.as_json
@pass_workspace
def explain(workspace: Workspace, symbol: str, svg: Path | None, as_json: bool) -> None:
    """Why a fact holds: the tree of its cheapest derivation.  Exits 1 where it does not hold."""
    found = workspace.trajectories.explain(symbol)
    if found is None:
        told = f"{symbol} does not hold; `dino trajectory why-not {symbol}` tells what is missing"
        output.answer({"symbol": symbol, "holds": False}, told, as_json=as_json)
        click.get_current_context().exit(1)
    if svg:
        _draw(svg, found.steps, [found.symbol], f"why {found.symbol}")
    if as_json:
        output.emit_json({**found.as_dict(), "holds": True})
    else:
        for line in found.lines():
            output.say(line)


@trajectory.command("why-not", epilog=options.example("dino trajectory why-not fish"))
@click.argument("symbol", shell_complete=_symbols)
@options.as_json
@pass_workspace
def why_not(workspace: Workspace, symbol: str, as_json: bool) -> None:
    """The fewest facts that would make another hold.  Exits 1 where it holds already."""
    found = workspace.trajectories.why_not(symbol)
    if found is None:
        output.answer({"symbol": symbol, "holds": True}, f"{symbol} holds", as_json=as_json)
        click.get_current_context().exit(1)
    if as_json:
        output.emit_json({**found.as_dict(), "holds": False})
        return
    few = "" if found.fewest else " (there may be fewer)"
    output.say(f"{symbol} does not hold; missing{few}: {', '.join(found.facts)}")
    if found.steps:
        output.say("it would follow then")
        show_steps(found.steps)


@trajectory.command(epilog=options.example("dino trajectory plans --json"))
@options.show
@options.as_json
@pass_workspace
def plans(workspace: Workspace, show: int, as_json: bool) -> None:
    """What was planned, latest first."""
    found = workspace.trajectories.plans()[::-1]
    if as_json:
        output.emit_json({"plans": found})
        return
    shown, left = output.first_of(found, show)
    rows = [
        (p["path_id"], ", ".join(p["goals"]) or "all there is", f"{p['cost']:g}", f"{p['bound']:g}")
        for p in shown
    ]
    output.table(("plan", "goal", "cost", "at least"), rows, numbers=("cost", "at least"))
    output.more(left, "plan")


def _draw(file: Path, steps: Any, goals: Any, title: str) -> None:
    from dino_os.errors import InvalidInput  # noqa: PLC0415
    from dino_os.trajectory.picture import derivation  # noqa: PLC0415

    try:
        file.write_text(derivation(steps, goals, title), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be written: {error.strerror}") from None


def _value(text: str) -> Any:
    import json  # noqa: PLC0415

    try:
        return json.loads(text)
    except ValueError:
        return text


def _value_text(value: Any) -> str:
    import json  # noqa: PLC0415

    return value if isinstance(value, str) else json.dumps(value)


def _parties(given: tuple[str, ...], what: str) -> dict[str, float]:
    from engines.errors import InvalidInput  # noqa: PLC0415

    found: dict[str, float] = {}
    for text in given:
        party, _, amount = text.partition("=")
        try:
            found[party] = float(amount) if amount else 1.0
        except ValueError:
            raise InvalidInput(f"{what}: expected PARTY or PARTY=NUMBER, found {text!r}") from None
    return found
