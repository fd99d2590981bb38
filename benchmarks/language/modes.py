"""`python -m benchmarks.language.modes`: fine-tuning modes beside each other on one dataset."""

import argparse
import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.language.modes_page import Run, write
from benchmarks.language.typos import mistyped
from classifier.config import ClassifierConfig
from dataset.prepare.schema import SPLIT
from lineage.beside import asked
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import checksum, read_manifest
from lineage.named_inputs import named_inputs
from lineage.options import options_in
from lineage.stages import CLASSIFIER, DATA, PARAMETERS, TRIAL_TOWERS
from lineage.whole_files import replacing
from towers.config import TowersConfig

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
SEED = 7
"""Seed of the draw of few labels"""
TEXT, LABEL = "text", "label"
"""Columns of the table that the modes learn"""
FOLDER, RECORD = "runs", "run.json"
"""Folder of the trainings in the output, and the file of a finished one's figures"""
MONITORED = ("valid/ndcg@10", "valid/recall@100")
"""What the training of towers looks at, where users search and elsewhere"""


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


def recorded(root: Path, identity: Sequence[str], measure: Callable[[], Run]) -> Run:
    """The figures of a mode, from its record or measured now in an empty folder.

    So they are those of a whole training, also where an earlier one was interrupted.

    Args:
        root: Folder of the mode's training; emptied.
        identity: What the figures depend on.
        measure: Trains and measures.
    """
    record = root / RECORD
    if record.is_file() and (known := json.loads(record.read_text()))["of"] == list(identity):
        return Run(**known["run"])
    shutil.rmtree(root, ignore_errors=True)
    run = measure()
    with replacing(record) as partial:
        partial.write_text(json.dumps({"of": list(identity), "run": asdict(run)}))
    return run


def _of_table(options: argparse.Namespace) -> Callable[[str, list[str]], Run]:
    """Trains classifiers of a table."""
    from benchmarks.language.few import drawn, read
    from benchmarks.language.thesaurus import reworded, wordnet
    from classifier.division import divided

    given = ["--config", options.config, "--dataset", options.dataset]
    given += ["--target", options.target, "--text", options.text]
    config = asked(CLASSIFIER, ClassifierConfig, given, dataset="").config
    table = read(options.dataset, config)
    division = divided(table)
    labels, train = list(table.targets[config.targets[0]]), division.train
    if options.labels is not None:
        train = drawn(labels, train, options.labels, SEED)
    path = options.output / "table.parquet"
    parts = {"train": train, "valid": division.valid, "test": division.test}
    rows = np.concatenate(list(parts.values())).tolist()
    columns = {
        TEXT: [table.texts[row] for row in rows],
        LABEL: [labels[row] for row in rows],
        SPLIT: np.repeat(list(parts), [len(part) for part in parts.values()]),
    }
    with replacing(path) as partial:
        pl.DataFrame(columns).write_parquet(partial)
    texts, wanted = (
        [column[row] for row in division.test.tolist()] for column in (table.texts, labels)
    )
    synonyms = wordnet(options.wordnet) if options.wordnet else None

    def run(mode: str, added: list[str]) -> Run:
        root = options.output / FOLDER / mode.replace(" ", "-")
        what = ["--dataset", str(path), "--target", LABEL, "--text", TEXT, "--task", "labels"]
        what += ["--artifacts", str(root), "--reports", str(root / "reports"), "--refit=false"]

        def measure() -> Run:
            cost = _timed("classifier", options.config, [*what, *added])
            from classifier.predict import Classifier

            stage = root / path.stem / CLASSIFIER
            classifier, facts = Classifier.load(stage), read_manifest(stage, CLASSIFIER).facts

            def accuracy(given: Sequence[str]) -> float:
                found = classifier.predict(given, 1, target=LABEL).labels
                return float(
                    np.mean([best == label for (best,), label in zip(found, wanted, strict=True)])
                )

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

        identity = [*added, checksum(path), repr(config), repr(named_inputs(asdict(config)))]
        identity.append(str(options.wordnet))
        return recorded(root, identity, measure)

    return run


def _of_shop(options: argparse.Namespace) -> Callable[[str, list[str]], Run]:
    """Trains the towers of a shop whose data stage is finished."""
    name = options.shop.resolve().name
    data = read_manifest(options.shop / DATA, DATA).fingerprint
    file = Path(options.config)
    config = options_in(file / "towers.yaml" if file.is_dir() else file, TowersConfig)

    def run(mode: str, added: list[str]) -> Run:
        root = options.output / FOLDER / mode.replace(" ", "-")

        def measure() -> Run:
            shop = root / name
            shop.mkdir(parents=True)
            (shop / DATA).symlink_to((options.shop / DATA).resolve())
            given = ["--dataset", name, "--artifacts", str(root), *added]
            cost = _timed("towers.trial", options.config, given)
            facts = read_manifest(shop / TRIAL_TOWERS, TRIAL_TOWERS).facts
            figures = [facts[one] for one in MONITORED if facts.get(one) is not None]
            if not figures:
                raise ValueError(
                    f"the shop must have purchases of validation users, got none in {options.shop}"
                )
            return Run(mode=mode, valid=figures[0], parameters=facts[PARAMETERS], **cost)

        identity = [*added, data, repr(config), repr(named_inputs(asdict(config)))]
        return recorded(root, identity, measure)

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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.language.modes",
        description="Train a classifier, or towers with `--shop`, in every fine-tuning mode, and "
        "write quality, trained parameters, CPU seconds and peak memory of each.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--dataset", help="table with texts and labels, as for `make classify`")
    what.add_argument("--shop", type=Path, help="folder of a shop's stages, with a data stage")
    parser.add_argument("--target", default="label", help="column of the labels")
    parser.add_argument("--text", default="text", help="column of the texts")
    parser.add_argument("--labels", type=int, help="most training texts of a label; default: all")
    parser.add_argument(
        "--wordnet", type=Path, help="folder of WordNet's files, to test on synonyms, too"
    )
    parser.add_argument(
        "--config", default="configs", help="folder or file of the options that all modes share"
    )
    others = f"of texts also {', '.join(OF_TEXTS)}; of towers {', '.join(OF_SHOPS)}"
    parser.add_argument("--modes", default=",".join(MODES), help=f"modes; {others}")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    return parser


if __name__ == "__main__":
    main()
