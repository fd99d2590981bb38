"""`make` reads the demo's shop by its own configuration, and every other dataset by another."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("given", "config", "dataset"),
    [
        ("data", "configs/demo", "demo/gift-shop"),
        ("data DATASET=ml-100k", "configs", "ml-100k"),
        ("data DATASET=my-shop CONFIG=configs/demo", "configs", "my-shop"),
        ("data CONFIG=configs/tiny", "configs/tiny", "demo/gift-shop"),
        ("demo", "configs/demo", "demo/gift-shop"),
        ("demo DATASET=ml-100k", "configs/ml-100k", "ml-100k"),
    ],
)
def test_each_dataset_has_its_configuration(given, config, dataset):
    run = subprocess.run(
        ["make", "-n", *given.split()], cwd=ROOT, check=True, capture_output=True, text=True
    )

    said = run.stdout.replace("'", "")
    assert f"dataset --config {config}/data.yaml --dataset {dataset}" in said
