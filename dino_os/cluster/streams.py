"""Streams and buckets on the servers: made where they are missing, and kept on enough servers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dino_os.cluster.link import ClusterUnavailable

if TYPE_CHECKING:
    from nats.js.api import KeyValueConfig, StreamConfig, StreamInfo
    from nats.js.errors import APIError
    from nats.js.kv import KeyValue

    from dino_os.cluster.link import Client
    from dino_os.config import Cluster

_ALONE = 10074
"""What a server says that is to keep three copies, and is in no cluster of servers."""
_TOO_FEW = 10005
_NO_ROOM = 10047
_THREE = 3


async def ensure_stream(client: Client, settings: Cluster, config: StreamConfig) -> StreamInfo:
    """
    The stream of *config*, made where there is none; one that is there stays as it is.

    Raises:
        ClusterUnavailable: Too few of the servers are there for so many copies.
        nats.js.errors.APIError: The server will not have it.
    """
    from nats.js.errors import APIError, NotFoundError  # noqa: PLC0415  heavy, as wherever nats is

    try:
        return await client.js.stream_info(config.name or "")
    except NotFoundError:
        pass
    try:
        return await client.js.add_stream(replace(config, num_replicas=settings.replicas or _THREE))
    except APIError as error:
        _check_alone(error, settings)
    try:
        return await client.js.add_stream(replace(config, num_replicas=1))
    except APIError as error:
        _check_room(error, settings)
        raise


async def ensure_bucket(client: Client, settings: Cluster, config: KeyValueConfig) -> KeyValue:
    """The bucket of *config*, as `ensure_stream`; its name is the link's `stream(NAME)`."""
    from nats.js.errors import APIError, BucketNotFoundError  # noqa: PLC0415

    try:
        return await client.js.key_value(config.bucket)
    except BucketNotFoundError:
        pass
    try:
        return await client.js.create_key_value(
            replace(config, replicas=settings.replicas or _THREE)
        )
    except APIError as error:
        _check_alone(error, settings)
    return await client.js.create_key_value(replace(config, replicas=1))


def _check_alone(error: APIError, settings: Cluster) -> None:
    """One copy will do where there is one server; not where others are only away just now."""
    if error.err_code == _TOO_FEW:
        copies = settings.replicas or _THREE
        raise ClusterUnavailable(
            f"fewer than {copies} of the cluster's servers are there, on which streams are kept",
            hint="`cluster.replicas` says on how many, where there never are so many",
        ) from None
    _check_room(error, settings)
    if settings.replicas or error.err_code != _ALONE:
        raise error


def _check_room(error: APIError, settings: Cluster) -> None:
    if error.err_code == _NO_ROOM:
        raise ClusterUnavailable(
            f"the cluster's servers cannot set aside {settings.keep_bytes:,} bytes for messages",
            hint="lower `cluster.keep_bytes`, or raise `max_file_store` of their JetStream",
        ) from None
