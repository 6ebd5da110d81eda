"""
`dino mcp serve`: from start to the answer of `initialize`, beside a bare server of the same tools.

    python bench/mcp_serving.py

The peer is the official library's own server with functions of the same signatures, started
the same way; both are asked by the same few bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from side_by_side import in_turns, run, verdict

ROUNDS = 11
BARE = """
from typing import Any, Literal

from mcp.server import MCPServer

server = MCPServer("bare")


@server.tool()
def hello(name: str = "world", tone: Literal["plain", "warm"] = "plain") -> str:
    "Greet somebody and name the day."
    return name


@server.tool()
def summarise_file(path: str, top: int = 5) -> dict[str, Any]:
    "Summarise a file: size, hash, and what its kind has to say."
    return {}


@server.tool()
def duty_brief(scenario: str, limit: int | None = None) -> str:
    "Rehearse a cycle from a scenario's data and brief the duty officer on it."
    return scenario


@server.tool()
def duty_summary(show: int = 10, model: bool = True) -> dict[str, Any]:
    "Sum up the last planning cycle, as it stands in the record."
    return {}


@server.tool()
def csv_analyst(path: str, question: str = "", model: bool = True) -> dict[str, Any]:
    "Analyse a CSV file: columns and their types, what is missing, outliers, correlations, groups."
    return {}


@server.tool()
def log_triage(path: str, top: int = 10, model: bool = True) -> dict[str, Any]:
    "Triage a log: templates, gravest first, with counts, times, bursts and likely causes."
    return {}


server.run("stdio")
"""
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}


def ready(command: list[str]) -> None:
    """Start it, be answered, and leave."""
    asked = f"{json.dumps(INITIALIZE)}\n"
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        server.stdin.write(asked)
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        assert "serverInfo" in answer["result"], answer
        server.kill()  # how it ends is no part of how it starts


def main() -> None:
    home = Path(__file__).resolve().parent.parent
    dino = [sys.executable, str(home / "cli.py")]
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        run([*dino, "init", f"{folder}/workspace"])
        seconds = in_turns(
            {
                "bare": lambda: ready([sys.executable, str(bare)]),
                "dino": lambda: ready([*dino, "--home", f"{folder}/workspace", "mcp", "serve"]),
            },
            ROUNDS,
        )
    ratio = seconds["dino"] / seconds["bare"]
    print(f"mcp {version('mcp')} MCPServer, start to initialize   {seconds['bare'] * 1000:6.0f} ms")
    print(
        f"dino mcp serve, start to initialize     {seconds['dino'] * 1000:6.0f} ms   "
        f"{ratio:.2f} x   {verdict(ratio, 1.2, at_least=False)}"
    )


if __name__ == "__main__":
    main()
