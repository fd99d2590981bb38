"""Opens the vector store of an index stage."""

from pathlib import Path

from index.config import GPUs
from index.vector_store import VectorStore


def load_store(folder: Path, gpus: GPUs = "auto") -> VectorStore:
    """Open the vector store of an index stage: FAISS files or a Milvus collection.

    Args:
        folder: Folder of the index stage.
        gpus: How the GPUs that FAISS sees share its searches.

    Raises:
        ArtifactError: the store is missing or damaged; names the command that makes it again.
        ConnectionError: the store is in Milvus, which does not answer.
    """
    from index.milvus_store.collection import RECORD

    if (folder / RECORD).exists():
        from index.milvus_store.store import MilvusStore

        return MilvusStore.load(folder)
    from index.faiss_store.store import FaissStore

    return FaissStore.load(folder, gpus)


def require_store(folder: Path) -> None:
    """Check that the Milvus collection of an index stage is complete; FAISS stages are not checked.

    Raises:
        ArtifactError, ConnectionError: as `load_store` does.
    """
    from index.milvus_store.collection import RECORD

    if (folder / RECORD).exists():
        from index.milvus_store.store import MilvusStore

        MilvusStore.load(folder).close()
