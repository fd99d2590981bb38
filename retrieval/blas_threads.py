"""Threads of libraries that answer one request by turns."""

from threadpoolctl import ThreadpoolController


def leave_cores_to_torch() -> None:
    """Let numpy's and scipy's products run in the thread that asks for them.

    OpenBLAS's threads stay awake after a product for longer than torch's next step takes, on the
    very cores that torch has threads for: measured on 2 cores, a request of 10 ms took 32 at the
    median and 67 at the 99th percentile. FAISS brings an OpenBLAS of its own, which sleeps as
    OpenMP does and keeps its threads: large batches need them.
    """
    ThreadpoolController().select(prefix="libscipy_openblas").limit(limits=1)
