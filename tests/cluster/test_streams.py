"""Streams and buckets: made once, on three servers where there are three."""

from __future__ import annotations

import pytest

from dino_os.cluster.link import Client, ClusterUnavailable, Link
from dino_os.cluster.streams import ensure_bucket, ensure_stream
from dino_os.config import Cluster
from tests.cluster.servers import Server, Three, needs_server

pytestmark = needs_server


@pytest.mark.parametrize(("where", "copies"), [("server", 1), ("three", 3)])
def test_as_many_copies_as_there_are_servers(
    request: pytest.FixtureRequest, where: str, copies: int
) -> None:
    from nats.js.api import KeyValueConfig, StreamConfig

    found: Server | Three = request.getfixturevalue(where)
    settings = Cluster(url=found.url)
    link = Link(settings, lambda name: "")

    async def make(client: Client) -> tuple[int | None, int | None]:
        config = StreamConfig(name="A", subjects=["a.>"])
        await ensure_stream(client, settings, config)
        stream = await ensure_stream(client, settings, config)
        await ensure_bucket(client, settings, KeyValueConfig(bucket="B", ttl=60))
        bucket = await ensure_bucket(client, settings, KeyValueConfig(bucket="B", ttl=60))
        status = await bucket.status()
        return stream.config.num_replicas, status.stream_info.config.num_replicas

    try:
        assert link.call(make, 60) == (copies, copies)
    finally:
        link.close()


def test_no_room_for_a_stream_is_told(server: Server) -> None:
    from nats.js.api import StreamConfig

    settings = Cluster(url=server.url, keep_bytes=2**40)
    link = Link(settings, lambda name: "")
    config = StreamConfig(name="LARGE", subjects=["large"], max_bytes=settings.keep_bytes)
    try:
        with pytest.raises(ClusterUnavailable, match="cannot set aside") as told:
            link.call(lambda client: ensure_stream(client, settings, config), 30)
        assert "keep_bytes" in (told.value.hint or "")
    finally:
        link.close()
