"""
Every bundled skill, listed and called by the protocol's own inspector over both transports.

    python -m tests.mcp.programs.inspect_tools [COMMAND…]

Needs Node: without a COMMAND, `npx` brings the inspector, which is 150 MB, so that no test does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.mcp.bundled import CALLS, SCENARIO, furnish

DINO = [sys.executable, str(REPOSITORY / "cli.py")]


def inspect(inspector: list[str], target: list[str], *words: str) -> dict[str, object]:
    command = [*inspector, "--cli", *target, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr or done.stdout}")
    found: dict[str, object] = json.loads(done.stdout)
    return found


def check(inspector: list[str], name: str, target: list[str]) -> None:
    listed = inspect(inspector, target, "--method", "tools/list")
    tools = sorted(tool["name"] for tool in listed["tools"])  # type: ignore[attr-defined]
    assert tools == sorted(CALLS), tools
    for tool, (arguments, _) in CALLS.items():
        given = []
        for parameter, value in arguments.items():
            text = value if isinstance(value, str) else json.dumps(value)
            given += ["--tool-arg", f"{parameter}={text}"]
        answer = inspect(inspector, target, "--method", "tools/call", "--tool-name", tool, *given)
        assert not answer.get("isError"), answer
        print(f"{name}: {tool}: {str(answer['content'])[:70]}")
    page = inspect(inspector, target, "--method", "resources/read", "--uri", "dino://journals")
    print(f"{name}: {str(page)[:90]}")


def main(inspector: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dino = [*DINO, "--home", folder]
        subprocess.run([*DINO, "init", folder], check=True, stdout=subprocess.DEVNULL)
        furnish(Path(folder))
        for skill in CALLS.keys() - {"hello", "plan_cycle"}:
            subprocess.run([*dino, "grant", skill], check=True, stdout=subprocess.DEVNULL)
        cycle = [*dino, "plan-cycle", SCENARIO["scenario"]]
        subprocess.run(cycle, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        check(inspector, "stdio", [*dino, "mcp", "serve"])
        serve = [*dino, "mcp", "serve", "--http", "--port", "0", "--json"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            where = json.loads(server.stdout.readline())
            try:
                token = f"Authorization: Bearer {where['token']}"
                check(inspector, "http", [where["url"], "--transport", "http", "--header", token])
            finally:
                server.terminate()


if __name__ == "__main__":
    main(sys.argv[1:] or ["npx", "--yes", "@modelcontextprotocol/inspector@>=0.17"])
