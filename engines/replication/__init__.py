"""
Replication by the CouchDB protocol, between any two peers, in both directions.

A peer is a document store on this machine or a database of a server that speaks the protocol:
CouchDB, PouchDB Server and others.  Usable without the rest of Dino:

    from engines.latent_cache import DocumentStore
    from engines.replication import Basic, LocalPeer, RemotePeer, sync

    here = LocalPeer(DocumentStore("notes.db"))
    there = RemotePeer("https://couch.example.org/notes", credentials=lambda: Basic("me", "…"))
    print(sync(here, there).as_dict())

Conflicts are kept, on both sides the same; interrupted, it goes on where it was.  Anything with the
methods of `Peer` can be replicated with.

Source: docs.couchdb.org, "CouchDB Replication Protocol", version 3.
"""

from engines.replication.both import Sync, SyncReport, replicate, sync
from engines.replication.connections import Http
from engines.replication.credentials import Basic, Bearer, Session
from engines.replication.errors import (
    DocumentsFailed,
    PeerFault,
    PeerMissing,
    PeerRefused,
    PeerTimedOut,
    PeerUnreachable,
    ReplicationError,
    TooLarge,
)
from engines.replication.local import LocalPeer
from engines.replication.model import (
    Choice,
    Failure,
    Options,
    Page,
    Parcel,
    Peer,
    Report,
    Wanted,
)
from engines.replication.remote import RemotePeer
from engines.replication.replicator import Replicator
from engines.replication.selector import matcher

__all__ = [
    "Basic",
    "Bearer",
    "Choice",
    "DocumentsFailed",
    "Failure",
    "Http",
    "LocalPeer",
    "Options",
    "Page",
    "Parcel",
    "Peer",
    "PeerFault",
    "PeerMissing",
    "PeerRefused",
    "PeerTimedOut",
    "PeerUnreachable",
    "RemotePeer",
    "ReplicationError",
    "Replicator",
    "Report",
    "Session",
    "Sync",
    "SyncReport",
    "TooLarge",
    "Wanted",
    "matcher",
    "replicate",
    "sync",
]
