import sys

import numpy as np
import pytest

from benchmarks.index import gpu
from benchmarks.index.vectors import unclustered
from index.config import IndexConfig
from index.faiss_store.installation import gpu_count


@pytest.mark.parametrize("kind", ["exact", "ivf-sq"])
def test_every_figure_is_measured_on_gpu_and_cpu(kind, monkeypatch):
    monkeypatch.setattr(gpu, "QUERIES", 64)
    vectors, queries = (
        np.concatenate(list(unclustered(size, 16, seed))) for size, seed in ((2000, 1), (128, 2))
    )

    figures = next(gpu.compared("unclustered", vectors, queries, IndexConfig(kind=kind)))

    assert figures["vectors"] == "unclustered, 2,000 × 16"
    assert figures["kind"] == kind
    assert figures["recall@100"] >= 0.97
    for name in ("p50 ms", "batch of 64 ms", "32 callers, /s", "build s", "recall@100"):
        assert figures[name] >= 0
        assert figures[f"{name}, CPU"] >= 0
    assert figures["32 callers, /s"] > 0


@pytest.mark.skipif(gpu_count() > 0, reason="there is a GPU")
def test_without_a_gpu_the_error_names_the_command_that_installs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks.index.gpu"])

    with pytest.raises(SystemExit) as ended:
        gpu.main()

    assert ended.value.code == 2
    assert "FAISS sees no GPU; `make install EXTRA=gpu`" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("items", 999), ("dimension", 0)])
def test_gpu_config_refuses_invalid_values(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        gpu.GPUConfig(**{option: value})
