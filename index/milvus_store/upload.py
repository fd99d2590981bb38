"""Fills a collection in Milvus with item embeddings, whole or not at all."""

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
"""Of Milvus's HNSW."""
AT_ONCE = 4 << 20
"""Bytes of embeddings in one request."""
LOOKED = 0.5
"""Seconds between two looks at the progress of indexing."""


def upload(embeddings: Vectors, config: MilvusConfig, folder: Path) -> MilvusStore:
    """Put item embeddings into a collection named by them; position i becomes row i.

    The folder names the collection before it is made: what no folder names may be dropped.

    Args:
        embeddings: (items, dimension) of length 1; may be memory-mapped.
        config: Where Milvus is.
        folder: Of the index stage.

    Raises:
        ValueError: empty, wrong shape, not finite or not of unit length.
        ConnectionError: Milvus does not answer or refuses.
        CorruptArtifactError: Milvus holds another number of items than it was given.
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
    """SHA-256 of embeddings and of how they are indexed."""
    digest = hashlib.sha256(f"{embeddings.shape} {GRAPH}".encode())
    for block in blocks(embeddings, 0, len(embeddings)):
        digest.update(block.tobytes())
    return digest.hexdigest()


def fill(client: Any, record: Record, embeddings: Vectors) -> None:
    """Make the collection that a record names, unless it is there and whole.

    It is filled under a name that nobody reads and renamed at last. What an upload left that was
    interrupted is begun again.

    Raises:
        ConnectionError, CorruptArtifactError: as `upload` does.
    """
    seconds = record.timeout_seconds
    with answering(record.uri, f"make collection {record.collection}"):
        if client.has_collection(record.collection, timeout=seconds):
            client.load_collection(record.collection, timeout=LONGEST)
            if count(client, record.collection, seconds) == record.items:
                logger.info("collection %s is there already", record.collection)
                return
        for name in (record.partial, record.collection):
            if client.has_collection(name, timeout=seconds):
                client.drop_collection(name, timeout=seconds)
        _create(client, record)
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


def _create(client: Any, record: Record) -> None:
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
    """Have the graph built, and wait for it."""
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
                    f"items, and none for {LONGEST:.0f} s"
                )
            else:
                time.sleep(LOOKED)
