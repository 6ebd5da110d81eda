"""Real nats-servers on loopback: one, three in a cluster, a hub with a leaf."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dino_os.cluster.link import Client, ClusterUnavailable, Link
from dino_os.cluster.streams import ensure_stream
from dino_os.config import Cluster

BINARY = shutil.which("nats-server")
needs_server = pytest.mark.skipif(BINARY is None, reason="no nats-server here")
PATIENCE_S = 60.0


@dataclass
class Server:
    """
    A nats-server with that configuration (its own syntax is a superset of JSON's).

    It keeps its port and its storage over `kill()` and `start()`.
    """

    folder: Path
    name: str = "one"
    jetstream: bool = True
    host: str = "127.0.0.1"
    domain: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port(self.host)

    @property
    def url(self) -> str:
        return f"nats://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def start(self, *, wait: bool = True) -> Server:
        settings: dict[str, Any] = {
            "server_name": self.name,
            "listen": f"{self.host}:{self.port}",
        }
        if self.jetstream:
            settings["jetstream"] = {
                "store_dir": str(self.folder / "js"),
                "max_file": 2**30,
                "max_mem": 2**26,
                **({"domain": self.domain} if self.domain else {}),
            }
        path = self.folder / "server.conf"
        path.write_text(json.dumps({**settings, **self.more}, indent=1))
        assert BINARY
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "-c", str(path)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        if wait:
            self.wait()
        return self

    def wait(self) -> None:
        """Until it accepts connections."""
        until(self.accepts, f"{self.name} does not listen", self)

    def accepts(self) -> bool:
        assert self.process is None or self.process.poll() is None, self.log
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
            return True
        return False

    def kill(self) -> None:
        """As power does: at once, without a word."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """It is there and does not answer; `resume()` lets it go on."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        state = Path(f"/proc/{self.process.pid}/stat")
        until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "it does not stop")

    def resume(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        self.kill()
        self.start()

    @contextlib.contextmanager
    def slowed(self, delay_s: float) -> Iterator[None]:
        """Each of its writes and syncs takes so much longer, as on a disk that others keep busy."""
        assert self.process
        calls = "write,pwrite64,fsync,fdatasync,renameat"
        slow = ["-e", f"trace={calls}", "-e", f"inject={calls}:delay_exit={int(delay_s * 1e6)}"]
        strace = subprocess.Popen(
            ["strace", "-f", "-o", "/dev/null", "-p", str(self.process.pid), *slow],
            stderr=subprocess.PIPE,
        )
        try:
            assert strace.stderr
            assert b"attached" in strace.stderr.readline()
            yield
            assert strace.poll() is None
        finally:
            strace.terminate()  # it lets go of the server, which goes on as before
            strace.communicate(timeout=PATIENCE_S)

    def _end(self, how: signal.Signals) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(PATIENCE_S)
            self.process = None


@dataclass
class Three:
    """Three servers that hold streams together."""

    servers: list[Server]

    @property
    def url(self) -> str:
        return ",".join(server.url for server in self.servers)

    def named(self, name: str) -> Server:
        return next(server for server in self.servers if server.name == name)

    def start(self) -> Three:
        for server in self.servers:
            if server.process is None:
                server.start(wait=False)
        for server in self.servers:
            server.wait()
        link = Link(Cluster(url=self.url, replicas=3), lambda _name: "")
        try:
            until(lambda: _keeps_three(link), "the three do not find each other", *self.servers)
        finally:
            link.close()
        return self

    def stop(self) -> None:
        for server in self.servers:
            server.kill()


@dataclass
class HubAndLeaf:
    """A hub with JetStream, and a leaf of a far site that has none of its own."""

    hub: Server
    leaf: Server

    def stop(self) -> None:
        self.leaf.kill()
        self.hub.kill()


def one_server(folder: Path, **more: Any) -> Server:
    return Server(folder / "one", more=more).start()


def three_servers(folder: Path) -> Three:
    ports = [free_port() for _ in range(3)]
    routes = [f"nats://127.0.0.1:{port}" for port in ports]
    servers = [
        Server(
            folder / name,
            name,
            more={"cluster": {"name": "three", "listen": f"127.0.0.1:{port}", "routes": routes}},
        )
        for name, port in zip(("a", "b", "c"), ports, strict=True)
    ]
    return Three(servers).start()


def _keeps_three(link: Link) -> bool:
    from nats.js.errors import APIError

    async def keep(client: Client) -> None:
        await ensure_stream(client, link.settings, StreamConfig(name="PROBE", subjects=["probe"]))
        await client.js.delete_stream("PROBE")

    from nats.js.api import StreamConfig

    with contextlib.suppress(APIError, ClusterUnavailable):
        link.call(keep)
        return True
    return False


def hub_and_leaf(folder: Path) -> HubAndLeaf:
    port = free_port()
    listen = {"leafnodes": {"listen": f"127.0.0.1:{port}"}}
    hub = Server(folder / "hub", "hub", domain="hub", more=listen)
    leaf = Server(
        folder / "leaf",
        "leaf",
        jetstream=False,
        more={
            "leafnodes": {"remotes": [{"url": f"nats://127.0.0.1:{port}"}], "reconnect": 1},
        },
    )
    return HubAndLeaf(hub.start(), leaf.start())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server, for all tests: whoever kills it starts it again."""
    found = one_server(tmp_path_factory.mktemp("nats"))
    yield found
    found.kill()


MakeServer = Callable[..., Server]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Servers of a test's own, not started; to be asked for before nodes, to outlive them."""
    made: list[Server] = []

    def make(name: str, **more: Any) -> Server:
        made.append(Server(tmp_path / name, name, more=more))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    """Three servers, for all tests."""
    found = three_servers(tmp_path_factory.mktemp("three"))
    yield found
    found.stop()


@pytest.fixture(scope="session")
def leaf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubAndLeaf]:
    """A hub and a leaf, for all tests."""
    found = hub_and_leaf(tmp_path_factory.mktemp("leaf"))
    yield found
    found.stop()


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def until(true: Any, told: str, *servers: Server, patience_s: float = PATIENCE_S) -> None:
    """Wait until *true()* is; fail with what the servers logged."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, "\n".join([told, *(s.log[-2000:] for s in servers)])
        time.sleep(0.02)


def settings_for(workspace: Path, url: str, node: str, namespace: str, **more: Any) -> None:
    """Write a `config.yaml` that makes *workspace* a node."""
    # What a stream may keep is reserved: many share one server here.
    few = {"keep_bytes": 2**24}
    cluster = {"url": url, "node": node, "namespace": namespace, **few, **more}
    lines = [f"  {name}: {json.dumps(value)}" for name, value in cluster.items()]
    (workspace / "config.yaml").write_text(
        "\n".join([f"system:\n  name: {node}\ncluster:", *lines, ""])
    )


def node_folders(
    folder: Path, url: str, names: Sequence[str], namespace: str, **more: Any
) -> list[Path]:
    """Workspaces that are nodes of one cluster."""
    found = []
    for name in names:
        home = folder / name
        (home / "skills").mkdir(parents=True)
        settings_for(home, url, name, namespace, **more)
        found.append(home)
    return found
