"""Uploads item embeddings to a collection in Milvus, completely or not at all."""

import hashlib
import logging
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from index.config import MilvusConfig
from index.milvus_store.collection import EMBEDDING, LONGEST, ROW, Record, answering, connect, count
from index.milvus_store.store import MilvusStore
from index.vectors import Vectors, blocks, require_unit_length
from lineage.manifest import CorruptArtifactError

logger = logging.getLogger(__name__)
GRAPH = {"M": 32, "efConstruction": 200}
"""Options of Milvus's HNSW graph."""
AT_ONCE = 4 << 20
"""Bytes of embeddings in one request."""
POLL_SECONDS = 0.5
"""Seconds between two queries for the progress of indexing."""


def upload(embeddings: Vectors, config: MilvusConfig, folder: Path) -> MilvusStore:
    """Upload item embeddings to a collection named by their hash; position i becomes row i.

    The record is written before the collection exists, as a collection without a record may be
    dropped at any time.

    Args:
        embeddings: (items, dimension) of length 1; may be memory-mapped.
        config: Address of Milvus, and the prefix of collection names.
        folder: Folder of the index stage.

    Raises:
        ValueError: empty, wrong shape, not finite or not of unit length.
        ConnectionError: Milvus does not answer or returns an error.
        CorruptArtifactError: the collection has another number of items than were uploaded.
    """
    require_unit_length(embeddings)
    digest = digest_of(embeddings)
    record = Record(
        uri=config.place,
        collection=f"{config.prefix}_{digest[:24]}",
        items=len(embeddings),
        dimension=embeddings.shape[1],
        checksum=digest,
        timeout_seconds=config.timeout_seconds,
    )
    record.write(folder)
    client = connect(record.uri, record.timeout_seconds)
    try:
        fill(client, record, embeddings)
        return MilvusStore(client, record)
    except BaseException:
        client.close()
        raise


def digest_of(embeddings: Vectors) -> str:
    """SHA-256 of the embeddings as float32, their shape and the graph's options."""
    digest = hashlib.sha256(f"{embeddings.shape} {GRAPH}".encode())
    for block in blocks(embeddings, 0, len(embeddings)):
        digest.update(block.tobytes())
    return digest.hexdigest()


def fill(client: Any, record: Record, embeddings: Vectors) -> None:
    """Create the collection that a record names, unless it exists and is complete.

    Fills it under a temporary name and renames it at the end. An interrupted upload starts again
    from the beginning.

    Raises:
        ConnectionError, CorruptArtifactError: as `upload` does.
    """
    seconds = record.timeout_seconds
    with answering(record.uri, f"create collection {record.collection}"):
        if client.has_collection(record.collection, timeout=seconds):
            client.load_collection(record.collection, timeout=LONGEST)
            if count(client, record.collection, seconds) == record.items:
                logger.info("collection %s already exists", record.collection)
                return
        for name in (record.partial, record.collection):
            if client.has_collection(name, timeout=seconds):
                client.drop_collection(name, timeout=seconds)
        create_collection(client, record)
        _insert(client, record, embeddings)
        client.flush(record.partial, timeout=LONGEST)
        _index(client, record)
        client.load_collection(record.partial, timeout=LONGEST)
        found = count(client, record.partial, seconds)
        if found != record.items:
            raise CorruptArtifactError(
                f"collection {record.partial} at {record.uri} must hold {record.items} items, got "
                f"{found}; is another process filling it? Run the same command again"
            )
        client.rename_collection(record.partial, record.collection, timeout=seconds)
        client.load_collection(record.collection, timeout=LONGEST)  # milvus-lite has unloaded it


def create_collection(client: Any, record: Record) -> None:
    """Create the empty collection that an upload fills."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(ROW, DataType.INT64, is_primary=True)
    schema.add_field(EMBEDDING, DataType.FLOAT_VECTOR, dim=record.dimension)
    client.create_collection(record.partial, schema=schema, timeout=record.timeout_seconds)


def _insert(client: Any, record: Record, embeddings: Vectors) -> None:
    step, row = max(1, AT_ONCE // (4 * record.dimension)), 0
    with tqdm(total=record.items, desc="upload", unit="item", leave=False) as progress:
        for block in blocks(embeddings, 0, len(embeddings)):
            for start in range(0, len(block), step):
                part = block[start : start + step]
                rows = [{ROW: row + i, EMBEDDING: vector} for i, vector in enumerate(part)]
                client.insert(record.partial, rows, timeout=record.timeout_seconds)
                row += len(part)
                progress.update(len(part))


def _index(client: Any, record: Record) -> None:
    """Start building the graph, and wait until it is complete."""
    graph = client.prepare_index_params()
    graph.add_index(EMBEDDING, index_type="HNSW", metric_type="IP", params=GRAPH)
    name, seconds = record.partial, record.timeout_seconds
    client.create_index(name, graph, timeout=LONGEST, sync=False)
    indexed, since = 0, time.monotonic()
    with tqdm(total=record.items, desc="index", unit="item", leave=False) as progress:
        while indexed < record.items:
            state = client.describe_index(name, EMBEDDING, timeout=seconds)
            if int(state["indexed_rows"]) > indexed:
                progress.update(int(state["indexed_rows"]) - indexed)
                indexed, since = int(state["indexed_rows"]), time.monotonic()
            elif time.monotonic() - since > LONGEST:
                raise ConnectionError(
                    f"Milvus at {record.uri} could not index {name}: {indexed} of {record.items} "
                    f"items are indexed, none in the last {LONGEST:.0f} s"
                )
            else:
                time.sleep(POLL_SECONDS)
