"""Processes of their own that decide at the same gate at once, and one that is killed there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from engines.nav_mesh import NavigationMesh
from tests.conftest import REPOSITORY, environment

MANY = """
import sys
from engines.nav_mesh import NavigationMesh
nav = NavigationMesh(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
once, token = sys.argv[2:]
print(nav.decide("info", once, "ada").allowed)
print(sum(nav.decide("myth", token, "ada").allowed for _ in range(25)))
for _ in range(20):
    nav.decide("info", "rubbish", "eve")
"""
ENDLESS = """
import sys
from engines.nav_mesh import NavigationMesh
nav = NavigationMesh(sys.argv[1])
while True:
    with nav.deciding():
        allowed = [nav.decide("info", sys.argv[2], "ada").allowed for _ in range(3)]
    print(*allowed, flush=True)
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment(PYTHONPATH=str(REPOSITORY)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_together_they_let_through_what_one_would(tmp_path: Path) -> None:
    """A token for one use once, a limit of 50 fifty times; and each refusal is counted."""
    log = tmp_path / "gate_log.jsonl"
    nav = NavigationMesh(log)
    once = nav.issue_token("info", "ada", single_use=True)
    token = nav.issue_token("myth", "ada")
    processes = [start(MANY, log, once, token) for _ in range(3)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    outputs = []
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        outputs.append(process.communicate(timeout=60)[0].split())
        assert process.returncode == 0
    assert sorted(first for first, _ in outputs) == ["False", "False", "True"]
    assert sum(int(passed) for _, passed in outputs) == 50
    gates = NavigationMesh(log).get_status()["gates"]
    assert gates["myth"]["rate_limited"] == 25
    assert gates["info"]["breaches_blocked"] == 2 + 60  # what was only counted is told at the end
    assert nav.verify_hash_chain()


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """And a batch that was under way is there as a whole, or not at all."""
    log = tmp_path / "gate_log.jsonl"
    nav = NavigationMesh(log)
    token = nav.issue_token("info", "ada")
    process = start(ENDLESS, log, token)
    assert process.stdout
    answered = [process.stdout.readline() for _ in range(15)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=60)
    answered += [line for line in rest.splitlines() if line.count("True") == 3]
    again = NavigationMesh(log)
    allowed = again.get_status()["gates"]["info"]["total_allowed"]
    assert allowed >= 3 * len(answered)
    assert allowed % 3 == 0
    assert again.decide("info", token, "ada").allowed
    assert again.verify_hash_chain()
