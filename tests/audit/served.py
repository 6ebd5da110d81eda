"""A witness that serves in a process of its own."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from tests.audit.test_witness import LOG
from tests.conftest import REPOSITORY, command, environment


class Served:
    """A witness's process, and what it can be asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "config.yaml").write_text("security:\n  signing_key: w.key\n")
        self.key = Auditing(Workspace(root)).new_key(None)
        Workspace(root).witness.trust("dino.local/a", LOG.verifier)
        self.process = subprocess.Popen(
            command("witness", "serve", "--port", "0", "--json", door="audit"),
            cwd=root,
            env=environment(PYTHONPATH=str(REPOSITORY)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = json.loads(self.process.stdout.readline())
        self.url = self.said["url"]

    def ask(
        self, body: bytes, path: str = "/add-checkpoint", **headers: str
    ) -> tuple[int, str | None, str]:
        """Status, content type and body of the answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type"), answer.read().decode()
        finally:
            connection.close()

    def end(self) -> tuple[int, str]:
        """As Ctrl-C does: exit code, and what stood on standard error."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said
