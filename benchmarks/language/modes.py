"""`python -m benchmarks.language.modes`: fine-tuning modes beside each other on one dataset."""

import argparse
import json
import logging
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.language.thesaurus import reworded, wordnet
from benchmarks.language.typos import mistyped
from dataset.prepare.schema import SPLIT
from evaluation.page import environment
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import read_manifest
from lineage.stages import CLASSIFIER, DATA, PARAMETERS, TRIAL_TOWERS
from lineage.whole_files import replacing

logger = logging.getLogger("benchmarks.language.modes")
LAYERS = "--training.trained_layers"
ADAPTER, WEIGHTS = "--training.adapter.kind", "--training.new_learning_rate"
RATE, DECAY = "--training.learning_rate", "--training.layer_decay"
MODES: dict[str, list[str]] = {
    "layers": [],
    "two layers": [LAYERS, "2"],
    "heads": [LAYERS, "0"],
    "sgd": ["--training.optimizer", "sgd", RATE, "0.05"],
    "equal rates": [DECAY, "1"],
    "lora": [ADAPTER, "lora", WEIGHTS, "2e-3"],
    "adalora": [ADAPTER, "adalora", WEIGHTS, "2e-3"],
    "bottleneck": [ADAPTER, "bottleneck", WEIGHTS, "2e-3"],
    "prefix": [ADAPTER, "prefix", WEIGHTS, "5e-3"],
    "bitfit": [ADAPTER, "bitfit", RATE, "3e-3", DECAY, "1"],
}
"""Options that a mode adds to the configuration; `layers` is the configuration itself"""
OF_TEXTS: dict[str, list[str]] = {
    "typos": ["--augmentation.typos", "0.2"],
    "dropped words": ["--augmentation.dropped_words", "0.1"],
    "synonyms": ["--augmentation.synonyms", "0.2"],
    "rdrop": ["--rdrop", "1"],
    "fgm": ["--training.adversarial", "fgm"],
    "seeds": ["--seeds", "3"],
}
"""Options of a classifier's training beside the mode"""
OF_SHOPS: dict[str, list[str]] = {
    "cropped": ["--cropped", "0.3"],
    "reordered": ["--reordered", "0.3"],
}
"""The same of towers"""
TYPED, DRAWS = 0.1, 3
"""Share of words that are mistyped or replaced, and number of draws of the changes"""
VALID_EVERY, SEED = 10, 7
"""Of so many training texts of a label one is for validation; seed of the draw"""
MONITORED = ("valid/ndcg@10", "valid/recall@100")
"""What the training of towers looks at, where users search and elsewhere"""
WIDTH, HEIGHT = 400, 160


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a mode came to."""

    mode: str
    valid: float
    """Monitored figure of the validation part: accuracy, or recall@100 of towers."""
    parameters: int
    """Trained parameters."""
    seconds: float
    """CPU seconds of the whole run."""
    mib: float
    """Peak memory, MiB."""
    test: float | None = None
    """Accuracy on the test part; None for towers."""
    typed: float | None = None
    """The same with 10% of the words mistyped."""
    reworded: float | None = None
    """The same with up to 10% of the words replaced by WordNet's synonyms."""


def main() -> None:
    """Run the modes and write their table and picture."""
    options = _parser().parse_args()
    configure_logging()
    with reported_errors():
        known = MODES | (OF_SHOPS if options.shop else OF_TEXTS)
        modes = [mode.strip() for mode in options.modes.split(",")]
        if unknown := [mode for mode in modes if mode not in known]:
            raise ValueError(f"modes must be among {', '.join(known)}, got {unknown[0]!r}")
        options.output.mkdir(parents=True, exist_ok=True)
        run = _of_shop(options) if options.shop else _of_table(options)
        command = shlex.join(["python", "-m", "benchmarks.language.modes", *sys.argv[1:]])
        runs = []
        for mode in modes:
            runs.append(run(mode, known[mode]))
            logger.info("%s", runs[-1])
            write(options.output, runs, command)


def few_labels(table: pl.DataFrame, target: str, text: str, most: int | None) -> pl.DataFrame:
    """The table with a tenth of each label's training texts for validation, and few of the rest.

    Args:
        table: Texts and labels, with a split or without.
        target: Column of the labels.
        text: Column of the texts, whose hash draws.
        most: Most training texts of a label; None for all.
    """
    if SPLIT not in table.columns:
        table = table.with_columns(pl.lit("train").alias(SPLIT))
    groups = [SPLIT, target]
    ranked = table.with_columns(
        pl.col(text).hash(SEED).rank("ordinal").over(groups).alias("_rank"),
        (pl.len().over(groups) / VALID_EVERY).ceil().alias("_valid"),
    )
    training, checked = pl.col(SPLIT) == "train", pl.col("_rank") <= pl.col("_valid")
    last = pl.col("_valid") + (pl.len() if most is None else most)
    kept = ranked.filter(~training | (pl.col("_rank") <= last))
    split = pl.when(training & checked).then(pl.lit("valid")).otherwise(SPLIT)
    return kept.with_columns(split.alias(SPLIT)).drop("_rank", "_valid")


def _of_table(options: argparse.Namespace) -> Callable[[str, list[str]], Run]:
    """Trains classifiers of a table."""
    table, target, text = options.output / "table.parquet", options.target, options.text
    few_labels(pl.read_parquet(options.dataset), target, text, options.labels).write_parquet(table)
    tested = pl.read_parquet(table).filter(pl.col(SPLIT) == "test")
    texts, labels = tested[text].to_list(), tested[target].to_list()
    synonyms = wordnet(options.wordnet) if options.wordnet else None

    def run(mode: str, added: list[str]) -> Run:
        name = mode.replace(" ", "-")
        folders = ["--artifacts", str(options.output), "--reports", str(options.output / "reports")]
        what = ["--dataset", str(table), "--name", name, "--target", target, "--text", text]
        cost = _timed("classifier", options.config, [*what, *folders, "--refit=false", *added])
        from classifier.predict import Classifier

        stage = options.output / name / CLASSIFIER
        classifier, facts = Classifier.load(stage), read_manifest(stage, CLASSIFIER).facts

        def accuracy(given: Sequence[str]) -> float:
            found = classifier.predict(given, 1, target=target).labels
            right = [best == label for (best,), label in zip(found, labels, strict=True)]
            return float(np.mean(right))

        typed = [accuracy(mistyped(texts, TYPED, seed)) for seed in range(DRAWS)]
        other: list[float] = []
        if synonyms is not None:
            other = [accuracy(reworded(texts, TYPED, seed, synonyms)) for seed in range(DRAWS)]
        return Run(
            mode=mode,
            valid=facts["valid/score"],
            test=accuracy(texts),
            typed=sum(typed) / DRAWS,
            reworded=sum(other) / DRAWS if other else None,
            parameters=facts[PARAMETERS],
            **cost,
        )

    return run


def _of_shop(options: argparse.Namespace) -> Callable[[str, list[str]], Run]:
    """Trains the towers of a shop whose data stage is finished."""

    def run(mode: str, added: list[str]) -> Run:
        root = options.output / mode.replace(" ", "-")
        shop = root / options.shop.name
        shop.mkdir(parents=True, exist_ok=True)
        if not (shop / DATA).exists():
            (shop / DATA).symlink_to((options.shop / DATA).resolve())
        given = ["--dataset", options.shop.name, "--artifacts", str(root), *added]
        cost = _timed("towers.trial", options.config, given)
        facts = read_manifest(shop / TRIAL_TOWERS, TRIAL_TOWERS).facts
        figure = next(name for name in MONITORED if name in facts)
        return Run(mode=mode, valid=facts[figure], parameters=facts[PARAMETERS], **cost)

    return run


def _timed(module: str, config: str, options: Sequence[str]) -> dict[str, float]:
    """Run a command in a process of its own; CPU seconds and peak memory of the process.

    Raises:
        ValueError: the command failed.
    """
    command = [sys.executable, "-m", module, "--config", config, *options]
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise ValueError(f"every mode must train, got a failure of {shlex.join(command)}")
    return {"seconds": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024}


def write(folder: Path, runs: Sequence[Run], command: str) -> None:
    """Write the figures as `modes.json`, and their table and picture as `modes.html`."""
    made = {"modes": [asdict(run) for run in runs], "command": command}
    with replacing(folder / "modes.json") as partial:
        partial.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    most, least = (pick(run.parameters for run in runs) for pick in (max, min))
    best, worst = (pick(run.valid for run in runs) for pick in (max, min))
    wide = math.log(most / least) or 1.0
    points = [
        (
            WIDTH * math.log(run.parameters / least) / wide,
            HEIGHT * (1 - (run.valid - worst) / ((best - worst) or 1.0)),
            run.mode,
        )
        for run in runs
    ]
    page = environment(Path(__file__).parent).get_template("modes.html.j2")
    shown = page.render(runs=runs, points=points, size=(WIDTH, HEIGHT), command=command)
    with replacing(folder / "modes.html") as partial:
        partial.write_text(shown, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.language.modes",
        description="Train a classifier, or towers with `--shop`, in every fine-tuning mode, and "
        "write quality, trained parameters, CPU seconds and peak memory of each.",
    )
    parser.add_argument("--dataset", type=Path, help="Parquet file with texts and labels")
    parser.add_argument("--target", default="label", help="column of the labels")
    parser.add_argument("--text", default="text", help="column of the texts")
    parser.add_argument("--labels", type=int, help="most training texts of a label; default: all")
    parser.add_argument(
        "--wordnet", type=Path, help="folder of WordNet's files, to test on synonyms, too"
    )
    parser.add_argument("--shop", type=Path, help="folder of a shop's stages, with a data stage")
    parser.add_argument(
        "--config", default="configs", help="folder or file of the options that all modes share"
    )
    others = f"of texts also {', '.join(OF_TEXTS)}; of towers {', '.join(OF_SHOPS)}"
    parser.add_argument("--modes", default=",".join(MODES), help=f"modes; {others}")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    return parser


if __name__ == "__main__":
    main()
