"""Streams and buckets on the servers: made where they are missing, and kept on enough servers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nats.js.api import KeyValueConfig, StreamConfig, StreamInfo
    from nats.js.kv import KeyValue

    from dino_os.cluster.link import Client
    from dino_os.config import Cluster

# What a server says that cannot keep three: it is alone, or there are not three of them.
_NOT_SO_MANY = frozenset({10074, 10005, 10023})
_THREE = 3


async def ensure_stream(client: Client, settings: Cluster, config: StreamConfig) -> StreamInfo:
    """
    The stream of *config*, made where there is none; one that is there stays as it is.

    Raises:
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
        if settings.replicas or error.err_code not in _NOT_SO_MANY:
            raise
    return await client.js.add_stream(replace(config, num_replicas=1))


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
        if settings.replicas or error.err_code not in _NOT_SO_MANY:
            raise
    return await client.js.create_key_value(replace(config, replicas=1))
