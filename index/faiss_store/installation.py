"""Checks that exactly one FAISS distribution is installed, and whether it has a GPU."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

DISTRIBUTIONS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs")


def load_faiss() -> Any:
    """Import FAISS for serving: exact batch search fast, one thread a query.

    Raises:
        ImportError: none or several of FAISS's distributions are installed; they overwrite one
            another's files.
    """
    installed = [name for name in DISTRIBUTIONS if _is_installed(name)]
    if len(installed) != 1:
        raise ImportError(
            f"exactly one of {DISTRIBUTIONS} must be installed, got {installed}; "
            "uninstall all, then install the extra `cpu` or `gpu`, or faiss-gpu-cuvs by hand"
        )
    import faiss

    # FAISS 1.15 turned BLAS off for all but the largest batches: 6 to 12 times slower.
    faiss.cvar.distance_compute_blas_threshold = 3000
    return faiss


def gpu_count() -> int:
    """GPUs that FAISS can use; 0 with `faiss-cpu`."""
    faiss = load_faiss()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def builds_graphs() -> bool:
    """Whether FAISS has cuVS's graph, CAGRA, and a GPU to build it on."""
    return hasattr(load_faiss(), "GpuIndexCagra") and gpu_count() > 0


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
