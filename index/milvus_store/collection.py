"""A collection in Milvus: what names it, how it is reached, and its errors in our words."""

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
"""Beside the manifest of an index stage whose embeddings lie in Milvus."""
PARTIAL = "_partial"
"""Ends the name of a collection that is being filled."""
TOKEN = "SHORTLIST_MILVUS_TOKEN"
"""Environment variable: `user:password`, or an API key."""
LONGEST = 3600.0
"""Seconds that Milvus may take to flush, to index without progress, or to load a collection."""
ROW, EMBEDDING = "row", "embedding"
TEMPLATES_SINCE = (2, 5)
"""Milvus's version from which on an expression's values may lie beside it."""
NOW = "Strong"
"""Reads what was written before; costs some 200 ms."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What an index stage's folder says of its collection."""

    uri: str
    """Where Milvus is."""
    collection: str
    """Named by its content."""
    items: int
    dimension: int
    checksum: str
    """SHA-256 of the embeddings as float32."""
    timeout_seconds: float
    """What a request may take."""
    operating_point: str = ""
    """`ef=…`"""

    @property
    def partial(self) -> str:
        """Name of the collection while it is filled."""
        return self.collection + PARTIAL

    def write(self, folder: Path) -> None:
        """Write it into the folder of an index stage.

        Raises:
            OSError: the disk is full or refuses.
        """
        (folder / RECORD).write_text(json.dumps(asdict(self), indent=1) + "\n")


def read_record(path: Path) -> Record:
    """Read what a folder says of its collection.

    Raises:
        CorruptArtifactError: it is unreadable; names the command that mends it.
    """
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise CorruptArtifactError(
            f"{path} does not name a collection ({error}); make it again with "
            f"`{command(path.parent, 'index')}`"
        ) from error


def connect(uri: str, timeout_seconds: float) -> Any:
    """A client of Milvus, with the token of the environment.

    Raises:
        ImportError: `pymilvus` is missing, or `milvus-lite` for a local file.
        ConnectionError: nobody answers in time, or the token is refused.
    """
    try:
        import pymilvus
    except ImportError as error:
        raise ImportError("kind 'milvus' needs pymilvus; install the extra `milvus`") from error
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what fails is raised and told once
    with answering(uri, "be reached"):
        return pymilvus.MilvusClient(
            uri, token=os.environ.get(TOKEN, ""), timeout=timeout_seconds, dedicated=True
        )


@contextmanager
def answering(uri: str, what: str) -> Iterator[None]:
    """Turn errors of Milvus into one that says where and what.

    Raises:
        ConnectionError: Milvus did not answer in time or refused.
    """
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        raise ConnectionError(f"Milvus at {uri} could not {what}: {error.message}") from error
    except (grpc.RpcError, grpc.FutureTimeoutError) as error:
        said = error.details() if isinstance(error, grpc.Call) else "no answer in time"
        raise ConnectionError(f"Milvus at {uri} could not {what}: {said}") from error


def takes_templates(client: Any, record: Record) -> bool:
    """Whether a search may name item rows beside its expression, as numbers and not as text.

    milvus-lite, and a build without a version, read text alone.

    Raises:
        ConnectionError: Milvus does not answer.
    """
    with answering(record.uri, "say its version"):
        said = str(client.get_server_version(timeout=record.timeout_seconds))
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or "lite" in said:
        return False
    return (int(found[1]), int(found[2])) >= TEMPLATES_SINCE


def count(client: Any, collection: str, timeout_seconds: float) -> int:
    """Items of a collection, which is loaded."""
    found = client.query(
        collection,
        filter="",
        output_fields=["count(*)"],
        consistency_level=NOW,
        timeout=timeout_seconds,
    )
    return int(found[0]["count(*)"])


def open_collection(client: Any, record: Record, folder: Path) -> None:
    """Load a collection into Milvus's memory, and see that it is whole.

    Args:
        client: Of the record's Milvus.
        record: Of the collection.
        folder: Of the index stage that names it.

    Raises:
        MissingArtifactError: there is no such collection.
        CorruptArtifactError: it has another size.
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
