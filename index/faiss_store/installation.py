"""Imports FAISS, checks that exactly one distribution is installed, and counts its GPUs."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

DISTRIBUTIONS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs")


def load_faiss() -> Any:
    """Import FAISS, set up for fast exact search of batches.

    Raises:
        ImportError: no FAISS distribution is installed, or several, which overwrite each other's
            files.
    """
    installed = [name for name in DISTRIBUTIONS if _is_installed(name)]
    if len(installed) != 1:
        raise ImportError(
            f"exactly one of {DISTRIBUTIONS} must be installed, got {installed}; "
            "uninstall all, then install the extra `cpu` or `gpu`, or faiss-gpu-cuvs by hand"
        )
    import faiss

    # FAISS 1.15 uses BLAS only for the largest batches, which is 6 to 12 times slower.
    faiss.cvar.distance_compute_blas_threshold = 3000
    return faiss


def gpu_count() -> int:
    """Number of GPUs that FAISS can use; 0 with `faiss-cpu`."""
    faiss = load_faiss()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def builds_graphs() -> bool:
    """Whether FAISS can build cuVS's graph, CAGRA: it has cuVS and a GPU."""
    return hasattr(load_faiss(), "GpuIndexCagra") and gpu_count() > 0


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
