"""
Messages between two nodes: how many a second, and how long one takes, beside bare JetStream.

    python bench/cluster_messages.py [FOLDER]   FOLDER lies on the disk to measure; default: here

Needs `nats-server` and nats-py.  One server with file storage on loopback.  Dino: published durably
in one node's journal, relayed, and recorded durably in the other's, by threads of this process.
Bare: nats-py publishes, 256 under way, and another connection fetches a hundred at a time and
acknowledges; no journal on either side.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nats
import orjson
from nats.js.api import StreamConfig
from servers import nats_server

from dino_os.workspace import Workspace

COUNT, AT_ONCE, SINGLES, ROUNDS = 20_000, 500, 200, 3
BODY = {"order": 1, "items": ["a", "b", "c"], "note": "x" * 100}
CONFIG = """
system: {{name: {node}}}
cluster: {{url: "{url}", node: {node}, namespace: n{number}}}
"""


def main() -> None:
    where = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found: dict[str, list[float]] = {"dino": [], "bare": [], "latency_ms": []}
    with tempfile.TemporaryDirectory(dir=where) as folder, nats_server(Path(folder)) as url:
        for number in range(ROUNDS):
            found["bare"].append(asyncio.run(bare(url, number)))
            rate, latency = dino(Path(folder), url, number)
            found["dino"].append(rate)
            found["latency_ms"].append(latency * 1000)
    middle = {what: statistics.median(rounds) for what, rounds in found.items()}
    print(f"dino, journal to journal: {middle['dino']:,.0f} messages a second")
    print(f"bare JetStream: {middle['bare']:,.0f}; {middle['bare'] / middle['dino']:.2f} x")
    print(f"one message, published to recorded on the other node: {middle['latency_ms']:.1f} ms")


def dino(folder: Path, url: str, number: int) -> tuple[float, float]:
    nodes = []
    for node in ("north", "south"):
        home = folder / f"{node}{number}"
        (home / "skills").mkdir(parents=True)
        (home / "config.yaml").write_text(CONFIG.format(node=node, url=url, number=number))
        nodes.append(Workspace(home))
        nodes[-1].carry()
    north, south = nodes
    length = south.own_journal("bus").length
    while not all("stream_began" in text(node) for node in nodes):
        time.sleep(0.01)
    before = length()
    began = time.perf_counter()
    for _ in range(COUNT // AT_ONCE):
        north.bus.publish_many([("orders.1", BODY)] * AT_ONCE)
    while length() < before + COUNT:
        time.sleep(0.005)
    rate = COUNT / (time.perf_counter() - began)
    latencies = []
    for _ in range(SINGLES):
        before, began = length(), time.perf_counter()
        north.bus.publish("orders.1", BODY)
        while length() == before:
            time.sleep(0.0005)
        latencies.append(time.perf_counter() - began)
    for node in nodes:
        assert node.carrying
        node.carrying.stop()
        assert node.cluster
        node.cluster.link.close()
    return rate, statistics.median(latencies)


def text(node: Workspace) -> str:
    path = node.memory / "bus.jsonl"
    return path.read_text() if path.exists() else ""


async def bare(url: str, number: int) -> float:
    sender, taker = await nats.connect(url), await nats.connect(url)
    stream, body = f"BARE{number}", orjson.dumps(BODY)
    await sender.jetstream().add_stream(StreamConfig(name=stream, subjects=[f"bare{number}.>"]))
    pulled = await taker.jetstream().pull_subscribe(f"bare{number}.>", durable="d", stream=stream)

    async def send() -> None:
        js = sender.jetstream(publish_async_max_pending=256)
        for _ in range(COUNT):
            await js.publish_async(f"bare{number}.1", body)
        await js.publish_async_completed()

    async def take() -> None:
        left = COUNT
        while left:
            messages = await pulled.fetch(min(100, left), timeout=30)
            for message in messages:
                await message.ack()
            left -= len(messages)

    began = time.perf_counter()
    await asyncio.gather(send(), take())
    rate = COUNT / (time.perf_counter() - began)
    await sender.close()
    await taker.close()
    return rate


if __name__ == "__main__":
    main()
