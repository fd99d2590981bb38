"""Opens the vector store of an index stage."""

from pathlib import Path

from index.config import GPUs
from index.vector_store import VectorStore


def load_store(folder: Path, gpus: GPUs = "auto") -> VectorStore:
    """Open whatever an index stage's folder holds.

    Args:
        folder: Of the stage.
        gpus: How those that FAISS sees share its searches.

    Raises:
        ArtifactError: it is missing or damaged; names the command that mends it.
        ConnectionError: it lies in Milvus, which does not answer.
    """
    from index.milvus_store.collection import RECORD

    if (folder / RECORD).exists():
        from index.milvus_store.store import MilvusStore

        return MilvusStore.load(folder)
    from index.faiss_store.store import ItemIndex

    return ItemIndex.load(folder, gpus)


def require_store(folder: Path) -> None:
    """See that what an index stage names in Milvus is there and whole; others hold it themselves.

    Raises:
        ArtifactError, ConnectionError: as `load_store` does.
    """
    from index.milvus_store.collection import RECORD

    if (folder / RECORD).exists():
        from index.milvus_store.store import MilvusStore

        MilvusStore.load(folder).close()
