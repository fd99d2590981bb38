"""`make` reads each dataset by its configuration, and the backbone of the command line."""

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


def test_stages_read_the_backbone_of_the_command_line():
    stages = ["trial", "towers", "classify", "pretrain", "distil"]
    given = ["DATASET=table.csv", "TARGET=label", "TEXT=text", "BACKBONE=a/student", "LAYERS=2"]

    run = subprocess.run(
        ["make", "-n", *stages, *given], cwd=ROOT, check=True, capture_output=True, text=True
    )

    said = run.stdout.replace("'", "")
    assert said.count("--backbone a/student") == len(stages)
    assert "-m pretraining.distil" in said
    assert "--layers 2" in said
