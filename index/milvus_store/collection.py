"""A collection in Milvus: its record on disk, the connection, and the translation of errors."""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lineage.manifest import CorruptArtifactError, MissingArtifactError, command

RECORD = "collection.json"
"""File in the folder of an index stage whose embeddings are in Milvus."""
PARTIAL = "_partial"
"""Suffix of the name of a collection that is being filled."""
TOKEN = "SHORTLIST_MILVUS_TOKEN"
"""Environment variable: `user:password`, or an API key."""
LONGEST = 3600.0
"""Timeout in seconds to flush, to load, or to make progress in indexing a collection."""
ROW, EMBEDDING = "row", "embedding"
TEMPLATES_SINCE = (2, 5)
"""First version of Milvus that takes the values of an expression as parameters."""
NOW = "Strong"
"""Consistency level that reads all earlier writes; costs some 200 ms."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The collection of an index stage, as stored in the stage's folder."""

    uri: str
    """Address of Milvus."""
    collection: str
    """Name of the collection, derived from its content."""
    items: int
    dimension: int
    checksum: str
    """SHA-256 of the embeddings as float32, their shape and the graph's options."""
    timeout_seconds: float
    """Timeout of one request, in seconds."""
    operating_point: str = ""
    """`ef=…`"""

    @property
    def partial(self) -> str:
        """Name of the collection while it is being filled."""
        return self.collection + PARTIAL

    def write(self, folder: Path) -> None:
        """Write the record into the folder of an index stage.

        Raises:
            OSError: the file cannot be written.
        """
        (folder / RECORD).write_text(json.dumps(asdict(self), indent=1) + "\n")


def read_record(path: Path) -> Record:
    """Read a collection's record from a file.

    Raises:
        CorruptArtifactError: the file is missing or unreadable; names the command that makes it
            again.
    """
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise CorruptArtifactError(
            f"{path} is not a readable record of a collection ({error}); make it again with "
            f"`{command(path.parent, 'index')}`"
        ) from error


def connect(uri: str, timeout_seconds: float) -> Any:
    """A client of Milvus that uses the token from the environment.

    Raises:
        ImportError: `pymilvus` is missing, or `milvus-lite` for a local file.
        ConnectionError: Milvus does not answer in time or refuses the token.
    """
    try:
        import pymilvus
    except ImportError as error:
        raise ImportError("kind 'milvus' needs pymilvus; install the extra `milvus`") from error
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # its errors are raised, not logged
    with answering(uri, "be reached"):
        return pymilvus.MilvusClient(
            uri, token=os.environ.get(TOKEN, ""), timeout=timeout_seconds, dedicated=True
        )


@contextmanager
def answering(uri: str, what: str) -> Iterator[None]:
    """Convert Milvus's errors to a `ConnectionError` with the address and the failed operation.

    Args:
        uri: Address of Milvus.
        what: Operation, as a verb phrase after "could not".

    Raises:
        ConnectionError: Milvus did not answer in time or returned an error.
    """
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        raise ConnectionError(f"Milvus at {uri} could not {what}: {error.message}") from error
    except (grpc.RpcError, grpc.FutureTimeoutError) as error:
        cause = error.details() if isinstance(error, grpc.Call) else "no answer in time"
        raise ConnectionError(f"Milvus at {uri} could not {what}: {cause}") from error


def takes_templates(client: Any, record: Record) -> bool:
    """Whether the server takes item rows as parameters of an expression, not only as its text.

    milvus-lite and builds without a version number take text only.

    Raises:
        ConnectionError: Milvus does not answer.
    """
    with answering(record.uri, "report its version"):
        version = str(client.get_server_version(timeout=record.timeout_seconds))
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is None or "lite" in version:
        return False
    return (int(found[1]), int(found[2])) >= TEMPLATES_SINCE


def count(client: Any, collection: str, timeout_seconds: float) -> int:
    """Number of items in a loaded collection."""
    found = client.query(
        collection,
        filter="",
        output_fields=["count(*)"],
        consistency_level=NOW,
        timeout=timeout_seconds,
    )
    return int(found[0]["count(*)"])


def open_collection(client: Any, record: Record, folder: Path) -> None:
    """Load a collection into Milvus's memory, and check that it is complete.

    Args:
        client: Client of the record's Milvus.
        record: Record of the collection.
        folder: Folder of the index stage that holds the record.

    Raises:
        MissingArtifactError: there is no such collection.
        CorruptArtifactError: the collection has the wrong number of items.
        ConnectionError: Milvus does not answer.
    """
    name, seconds = record.collection, record.timeout_seconds
    mend = f"fill it again with `python -m index.milvus_store restore {folder.parent}`"
    with answering(record.uri, f"open collection {name}"):
        if not client.has_collection(name, timeout=seconds):
            raise MissingArtifactError(f"Milvus at {record.uri} has no collection {name}; {mend}")
        client.load_collection(name, timeout=LONGEST)
        found = count(client, name, seconds)
    if found != record.items:
        raise CorruptArtifactError(
            f"collection {name} at {record.uri} must hold {record.items} items, got {found}; {mend}"
        )
