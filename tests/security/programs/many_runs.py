"""
`dino run NAME --json` for each name on standard input, each in a process of its own; prints as JSON
what came of it.  They are forks of this one, so that Dino is loaded once, and each finds no file in
`skills/` but its own, which is NAME.py in the folder that is the argument.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from dino_os.commands import dino
from tests.programs.doors import import_usual


def run(name: str) -> dict[str, object]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = 70
            try:
                dino(["run", name, "--json"], prog_name="dino")
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return {"name": name, "code": code, "out": texts[0], "err": texts[1]}


import_usual()
for line in sys.stdin:
    name = line.strip()
    kept, file = Path(sys.argv[1], f"{name}.py"), Path("skills", f"{name}.py")
    kept.rename(file)
    print(json.dumps(run(name)), flush=True)
    file.rename(kept)
