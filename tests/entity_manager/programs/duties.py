"""
Take turns for a workspace's entities and run their tasks until killed: `duties.py FOLDER`.

Each task that began goes to standard output.
"""

import os
import sys
from pathlib import Path

from tests.entity_manager.office import Office
from tests.entity_manager.things import Clock


class Now(Clock):
    def __call__(self) -> float:
        import time

        return time.time()


office = Office(Path(sys.argv[1]), Now())
os.write(1, b"ready\n")
while True:
    office.duty.turn()
    for task in office.work():
        os.write(1, f"{task.task_id}\n".encode())
