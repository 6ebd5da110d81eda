"""
The command line: one file per group; each parses, calls one thing below, and renders.

`dino` is the whole of it, `execute` the short door to what the system is doing, `audit` the one to
whether the record stands.
"""

from __future__ import annotations

from dino_os.commands.front import Front

dino = Front(
    "dino",
    "Run skills, plan work, and keep a record that nobody can quietly change.",
    example="dino plan-cycle examples/fire-duty/scenario.yaml",
    commands={
        "plan-cycle": ("plan_cycle:plan_cycle", "Plan who answers the signals, and record it."),
        "list": ("skills:list_skills", "Show the skills there are."),
        "run": ("skills:run", "Run a skill."),
        "agent": ("agent:agent", "Goals for a model to reach with skills; what became of them."),
        "approve": ("agent:approve", "Allow, or refuse, a call that a model's run waits for."),
        "grant": ("grants:grant", "Allow a skill what it asks for."),
        "revoke": ("grants:revoke", "Take back what was granted to a skill."),
        "grants": ("grants:grants", "Show what is granted."),
        "sandbox": ("sandbox:sandbox", "What holds unknown code here."),
        "ask": ("ask:ask", "Ask a language model, one near by first."),
        "chat": ("chat:chat", "Talk with a language model."),
        "llm": ("llm:llm", "Language models: who is there, what is spent, what waits."),
        "status": ("status:status", "Show what this workspace holds and whether it is sound."),
        "engine": ("engine:engine", "Tasks and the workers that run them."),
        "gate": ("gate:gate", "Gates in front of the network: tokens, keys, decisions."),
        "nav": ("nav:nav", "The nav mesh: gates, routes, and what is odd about them."),
        "metrics": ("metrics:metrics", "Gauges, rates and counts; for Prometheus too."),
        "zone": ("zone:zone", "Places: how full they are, what happens in them."),
        "sector": ("sector:sector", "Networks of routes: how stable they are."),
        "state": ("state:state", "Named states, blended from noisy signals."),
        "trajectory": ("trajectory:trajectory", "The cheapest and fairest ways to a goal."),
        "entity": ("entity:entity", "Supervised workers: their states, and what they did."),
        "provenance": ("provenance:provenance", "What happened, what led to it, what came of it."),
        "orders": ("orders:orders", "Orders: create, pay, fulfil, refund."),
        "wealth": ("wealth:wealth", "What the next days may earn, with intervals."),
        "assign": ("assign:assign", "Who does what: the best plan, its bound, why, what if."),
        "cycle": ("cycle:cycle", "Planning cycles: run what is configured; past decisions."),
        "persona": ("persona:persona", "Personas: what a model may add to records and signals."),
        "offline": ("offline:offline", "Documents and requests that do without the network."),
        "cluster": ("cluster:cluster", "This node among others: who is there, what waits."),
        "memory": ("memory:memory", "What is remembered, found by words and meaning."),
        "bus": ("bus:bus", "Messages: say, hear, ask; what was said and who heard it."),
        "scheduler": ("scheduler:scheduler", "What shall run when, and what became of it."),
        "hashchain": ("hashchain:hashchain", "Verify the journals from their first byte."),
        "audit": ("__init__:audit", "Checkpoints, proofs, witnesses: all that `audit` does."),
        "keys": ("keys:keys", "Secrets that skills use: set, get, rotate, delete."),
        "mcp": ("mcp:mcp", "Skills for MCP clients, and MCP servers' tools as skills."),
        "skill": ("skill_files:skill", "Skills as SKILL.md folders: import, export."),
        "config": ("config:config", "Settings: show, get, set."),
        "init": ("init:init", "Make a workspace."),
        "completion": ("completion:completion", "Print the shell completion script."),
        "version": ("version:version", "Show the version."),
    },
)

execute = Front(
    "execute",
    "What the system is doing: the short door to status checks.",
    example="execute status",
    commands={
        "status": ("status:status", "Show what this workspace holds and whether it is sound."),
        "engine": ("engine:engine", "Tasks and the workers that run them."),
        "gate": ("gate:gate", "Gates in front of the network: tokens, keys, decisions."),
        "nav": ("nav:nav", "The nav mesh: gates, routes, and what is odd about them."),
        "metrics": ("metrics:metrics", "Gauges, rates and counts; for Prometheus too."),
        "zone": ("zone:zone", "Places: how full they are, what happens in them."),
        "sector": ("sector:sector", "Networks of routes: how stable they are."),
        "state": ("state:state", "Named states, blended from noisy signals."),
        "trajectory": ("trajectory:trajectory", "The cheapest and fairest ways to a goal."),
        "entity": ("entity:entity", "Supervised workers: their states, and what they did."),
        "provenance": ("provenance:provenance", "What happened, what led to it, what came of it."),
        "order": ("order_moves:order", "Create an order."),
        "wealth": ("wealth:wealth", "What the next days may earn, with intervals."),
        "cycle": ("cycle:cycle", "Planning cycles: run what is configured; past decisions."),
        "offline": ("offline:offline", "Documents and requests that do without the network."),
        "version": ("version:version", "Show the version."),
    },
)

audit = Front(
    "audit",
    "Whether the record stands: the short door to verification.",
    example="audit hashchain",
    commands={
        "hashchain": ("hashchain:hashchain", "Verify the journals from their first byte."),
        "verify": ("verify:verify", "Verify everything, and hold it against what was signed."),
        "checkpoint": ("checkpoint:checkpoint", "Sign the journals as they are now."),
        "prove": ("proof:prove", "Prove that a line is in a journal."),
        "check": ("proof:check", "Check a proof, without the journal."),
        "consistency": ("proof:consistency", "Prove that one checkpoint extends another."),
        "cosign": ("witness:cosign", "Sign another workspace's checkpoint."),
        "witness": ("witness:witness", "Witnesses: trust, serve, submit, forks."),
        "key": ("checkpoint:key", "The signing key: new, show, rotate."),
        "log": ("log:log", "Read the journals."),
        "sql": ("sql:sql", "Ask the journals in SQL."),
        "rotate": ("retention:rotate", "Seal the journals' files and go on in new ones."),
        "prune": ("retention:prune", "Remove old sealed files; keep what proves them."),
        "export": ("retention:export", "Copy journals to a folder that verifies alone."),
        "report": ("report:report", "All about a run, an order or a time, for auditors."),
        "version": ("version:version", "Show the version."),
    },
)

__all__ = ["audit", "dino", "execute"]
