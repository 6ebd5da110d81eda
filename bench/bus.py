"""
The bus: publishing within a process, and from one process to another beside Redis and NATS.

    python bench/bus.py [FOLDER]        FOLDER lies on the disk to measure; default: here

The peers run on this machine in the same run, in turns with ours.  Redis streams: AOF, synced on
each write (XADD, XREAD BLOCK).  NATS JetStream: a file stream, each publish acknowledged; what its
server promises of a power cut is printed, for not every version can sync on each write.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import redis
from servers import free_port, running
from side_by_side import timed, verdict

from dino_os.message_bus import MessageBus

SINGLE, MANY, BATCH = 2_000, 50_000, 1_000
SENT, SENT_IN_BATCHES, SENT_BATCH = 1_500, 20_000, 100
PACED, PACE_S = 400, 0.005
ROUNDS = 3
SLOWEST_S = 0.020  # what a subscriber in another process may wait
CHANNEL = "bench.say"
PEERS = ("dino", "redis", "nats")


def main() -> None:
    where = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    within(where)
    between(where)


# --- within a process ----------------------------------------------------------------------------


def within(where: Path) -> None:
    """Publishes a second, with one subscriber, each message durable before it is heard."""
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=where) as folder:
            os.environ["DINO_HOME"] = folder
            for name, rate in _rates_within():
                found.setdefault(name, []).append(rate)
    for name, rates in found.items():
        print(f"published in one process, {name:<18} {statistics.median(rates):>9,.0f}/s")


def _rates_within() -> Iterator[tuple[str, float]]:
    bus, heard = MessageBus(), [0]

    def hear(_: Any) -> None:
        heard[0] += 1

    bus.subscribe(CHANNEL, hear)

    def say(count: int) -> None:
        for number in range(count):
            bus.publish(CHANNEL, {"number": number})

    def in_threads() -> None:
        threads = [threading.Thread(target=say, args=(SINGLE // 4,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def in_batches() -> None:
        for _ in range(MANY // BATCH):
            bus.publish_many([(CHANNEL, {"number": number}) for number in range(BATCH)])

    yield "one thread", SINGLE / timed(lambda: say(SINGLE))
    yield "four threads", SINGLE / timed(in_threads)
    yield f"batches of {BATCH:,}", MANY / timed(in_batches)
    assert heard[0] == 2 * SINGLE + MANY
    bus.close()


# --- between processes ---------------------------------------------------------------------------


def between(where: Path) -> None:
    """From one process to another: how many a second, and how long each takes."""
    rates: dict[str, list[tuple[float, float]]] = {peer: [] for peer in PEERS}
    waits: dict[str, list[float]] = {peer: [] for peer in PEERS}
    promises: dict[str, str] = {}
    for _ in range(ROUNDS):
        for peer in PEERS:
            with tempfile.TemporaryDirectory(dir=where) as folder, SERVERS[peer](folder) as server:
                address, promise = server
                promises[peer] = promise
                one = SENT / _carried(peer, address, SENT, 1, 0)[1]
                many = SENT_IN_BATCHES / _carried(peer, address, SENT_IN_BATCHES, SENT_BATCH, 0)[1]
                rates[peer].append((one, many))
                waits[peer] += _carried(peer, address, PACED, 1, PACE_S)[0]
    for peer in PEERS:
        one, many = (statistics.median(column) for column in zip(*rates[peer], strict=True))
        waited = sorted(waits[peer])
        median, p99 = (waited[int(len(waited) * share)] * 1000 for share in (0.5, 0.99))
        print(
            f"to another process, {peer:<5}   one by one {one:>7,.0f}/s   in batches of "
            f"{SENT_BATCH} {many:>8,.0f}/s   delay {median:.2f} ms, p99 {p99:.2f} ms   "
            f"({promises[peer]})"
        )
        rates[peer] = [(one, many)]
        if peer == "dino":
            print(f"    p99 of the delay   {verdict(p99, SLOWEST_S * 1000, at_least=False)}")
        else:
            ours = rates["dino"][0]
            for what, ratio in (("one by one", ours[0] / one), ("in batches", ours[1] / many)):
                print(f"    dino beside {peer}, {what}   {ratio:.2f} x   {_verdict(peer, ratio)}")


def _verdict(peer: str, ratio: float) -> str:
    if peer == "redis":
        return verdict(ratio, 1, at_least=True)
    return "no verdict: it promises less"


def _carried(
    peer: str, address: str, count: int, batch: int, pace_s: float
) -> tuple[list[float], float]:
    """How long each of *count* messages took, and all of them, from first said to last heard."""
    hearer = _child("hear", peer, address, count, batch, pace_s)
    assert hearer.stdout
    hearer.stdout.readline()
    speaker = _child("say", peer, address, count, batch, pace_s)
    said, _ = speaker.communicate()
    heard, _ = hearer.communicate()
    assert (hearer.returncode, speaker.returncode) == (0, 0), (peer, hearer, speaker)
    waits, last = json.loads(heard)
    return waits, last - json.loads(said)


def _child(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _say(count: int, batch: int, pace_s: float, publish: Callable[[list[str]], object]) -> float:
    """Publish *count* messages, each of which says when; when the first one was."""
    began = time.monotonic()
    for _ in range(0, count, batch):
        publish([json.dumps({"said": time.monotonic()}) for _ in range(batch)])
        if pace_s:
            time.sleep(pace_s)
    return began


class Heard:
    """The delays of *count* messages, which may come in any thread."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._waits: list[float] = []
        self.all = threading.Event()

    def text(self, text: str) -> None:
        now = time.monotonic()
        self._waits.append(now - json.loads(text)["said"])
        self._left -= 1
        if not self._left:
            self.last = now
            self.all.set()

    def print(self) -> None:
        assert self.all.wait(300)
        print(json.dumps([self._waits, self.last]))


# --- ours ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def dino_server(folder: str) -> Iterator[tuple[str, str]]:
    """There is none."""
    yield folder, "synced before it is heard"


def dino_say(address: str, count: int, batch: int, pace_s: float) -> float:
    os.environ["DINO_HOME"] = address
    bus = MessageBus()

    def publish(texts: list[str]) -> None:
        if batch == 1:
            bus.publish(CHANNEL, texts[0])
        else:
            bus.publish_many([(CHANNEL, text) for text in texts])

    return _say(count, batch, pace_s, publish)


def dino_hear(address: str, heard: Heard) -> None:
    os.environ["DINO_HOME"] = address
    MessageBus().subscribe(CHANNEL, heard.text)
    print("ready", flush=True)
    heard.all.wait(300)


# --- Redis ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def redis_server(folder: str) -> Iterator[tuple[str, str]]:
    port = str(free_port())
    options = ["--port", port, "--dir", folder, "--save", "", "--bind", "127.0.0.1"]
    options += ["--appendonly", "yes", "--appendfsync", "always"]
    with running(["redis-server", *options], int(port)):
        yield port, "synced before it is heard"


def redis_say(address: str, count: int, batch: int, pace_s: float) -> float:
    client = redis.Redis(port=int(address))

    def publish(texts: list[str]) -> None:
        if batch == 1:
            client.xadd(CHANNEL, {"m": texts[0]})
        else:
            pipeline = client.pipeline(transaction=False)
            for text in texts:
                pipeline.xadd(CHANNEL, {"m": text})
            pipeline.execute()

    return _say(count, batch, pace_s, publish)


def redis_hear(address: str, heard: Heard) -> None:
    client = redis.Redis(port=int(address))
    last = client.xrevrange(CHANNEL, count=1)
    place = last[0][0] if last else "0"
    print("ready", flush=True)
    while not heard.all.is_set():
        for _, entries in client.xread({CHANNEL: place}, block=10_000, count=1000):
            for number, fields in entries:
                place = number
                heard.text(fields[b"m"].decode())


# --- NATS JetStream ------------------------------------------------------------------------------


@contextlib.contextmanager
def nats_server(folder: str) -> Iterator[tuple[str, str]]:
    """With every write synced where its version can, else as it comes."""
    port = str(free_port())
    config = Path(folder, "nats.conf")

    def takes(sync: str) -> bool:
        store = f'store_dir: "{folder}/js"'
        config.write_text(f"listen: 127.0.0.1:{port}\njetstream {{ {store}\n{sync}\n }}\n")
        tried = ["nats-server", "-t", "-c", str(config)]
        return subprocess.run(tried, check=False, capture_output=True).returncode == 0

    promise = "synced before it is acknowledged"
    if not takes("sync_interval: always") and takes(""):
        promise = "not synced on each write: this server refuses sync_interval: always"
    with running(["nats-server", "-c", str(config)], int(port)):
        yield port, promise


def nats_say(address: str, count: int, batch: int, pace_s: float) -> float:
    async def run() -> float:
        client = await nats.connect(f"nats://127.0.0.1:{address}")
        stream = client.jetstream()
        began = time.monotonic()
        for _ in range(0, count, batch):
            texts = [json.dumps({"said": time.monotonic()}).encode() for _ in range(batch)]
            await asyncio.gather(*(stream.publish(CHANNEL, text) for text in texts))
            if pace_s:
                await asyncio.sleep(pace_s)
        await client.close()
        return began

    return asyncio.run(run())


def nats_hear(address: str, heard: Heard) -> None:
    async def run() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{address}")
        stream = client.jetstream()
        await stream.add_stream(name="BENCH", subjects=["bench.>"])

        async def hear(message: Any) -> None:
            heard.text(message.data.decode())

        await stream.subscribe(CHANNEL, cb=hear, ordered_consumer=True, deliver_policy="new")
        print("ready", flush=True)
        while not heard.all.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await client.close()

    asyncio.run(run())


# --- around them ---------------------------------------------------------------------------------

SERVERS = {"dino": dino_server, "redis": redis_server, "nats": nats_server}
SAY = {"dino": dino_say, "redis": redis_say, "nats": nats_say}
HEAR = {"dino": dino_hear, "redis": redis_hear, "nats": nats_hear}


def child(what: str, peer: str, address: str, *numbers: str) -> None:
    count, batch, pace_s = int(numbers[0]), int(numbers[1]), float(numbers[2])
    if what == "say":
        print(SAY[peer](address, count, batch, pace_s))
    else:
        heard = Heard(count)
        HEAR[peer](address, heard)
        heard.print()


if __name__ == "__main__":
    child(*sys.argv[2:]) if sys.argv[1:2] == ["--child"] else main()
