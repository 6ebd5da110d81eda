"""
Move entities about until killed: `lives.py FOLDER SEED`.

It begins when it is told a line.  Every command that was acknowledged goes to standard output as "ENTITY COMMAND".
"""

import os
import random
import sys
from pathlib import Path

from engines.entity_manager import EntityManager
from engines.resource_engine import PoolLimits, ResourceEngine, ResourceType

COMMANDS = (
    *("awaken", "awaken", "awaken", "hibernate", "hibernate", "error_correction", "recover"),
    *("offline_adapt", "back_online", "reconcile", "monitor_health"),
)
folder = Path(sys.argv[1])
chance = random.Random(int(sys.argv[2]))
pools = ResourceEngine(
    folder / "engine_state.jsonl", limits={ResourceType.COMPUTE: PoolLimits(3, 3, 3)}
)
manager = EntityManager(folder / "entities.jsonl", pools)
for name in "abcdef":
    manager.spawn(name, "worker", {"compute": 1})
os.write(1, b"ready\n")
sys.stdin.readline()
while True:
    command = chance.choice(COMMANDS)
    if command in {"reconcile", "monitor_health"}:
        getattr(manager, command)()
        continue
    entity_id = chance.choice("abcdef")
    if getattr(manager, command)(entity_id):
        os.write(1, f"{entity_id} {command}\n".encode())
