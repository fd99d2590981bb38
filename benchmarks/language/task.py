"""Finds out which language task a dataset is, and prepares its measurement."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.language.comparison import Comparison
from benchmarks.language.config import LanguageConfig
from benchmarks.language.results import Results, versions
from classifier.config import ClassifierConfig
from dataset.arrays import load_dataset
from lineage.beside import asked
from lineage.manifest import read_manifest
from lineage.named_inputs import named_inputs
from lineage.stages import CLASSIFIER, DATA

FOLDER = "language"
"""Folder of the finished systems among a dataset's stages"""
PACKAGES = (
    "bm25s",
    "scikit-learn",
    "sentence-transformers",
    "setfit",
    "transformers",
    "torch",
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is measured."""

    name: str
    comparisons: Callable[[], Iterator[Comparison]]
    """Measures; each comparison comes when it is finished."""
    notes: Sequence[str] = ()

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of the packages that the peers run on."""
        return versions(*PACKAGES)


def task_of(config: LanguageConfig, dataset: Path, root: Path) -> Task:
    """The task of a dataset: searches of a folder with queries, else a column of a table.

    Args:
        config: Options.
        dataset: Folder or file.
        root: Folder of the dataset's stages.

    Raises:
        ValueError: the table breaks a rule, or no target is named.
        ArtifactError: a folder with queries has no data stage.
    """
    if dataset.is_dir() and any(one.name.startswith("queries.") for one in dataset.iterdir()):
        return _searches(config, root)
    return _column(config, dataset, root)


def _require_peers(config: LanguageConfig, known: Iterable[str]) -> None:
    """Refuse peers that the task does not have.

    Raises:
        ValueError: names those that it has.
    """
    names = list(known)
    if unknown := [name for name in config.chosen if name not in names]:
        raise ValueError(f"peers must be among {', '.join(names)}, got {unknown[0]!r}")


def _searches(config: LanguageConfig, root: Path) -> Task:
    from benchmarks.language.searches import PEERS, SearchBench

    _require_peers(config, PEERS)
    made_from = {DATA: read_manifest(root / DATA, DATA).fingerprint}
    bench = SearchBench(
        config=config,
        data=load_dataset(root / DATA).for_refit(),
        root=root,
        results=Results(folder=root / FOLDER, made_from=made_from),
    )
    return Task(name="searches", comparisons=bench.comparisons, notes=bench.notes)


def _column(config: LanguageConfig, dataset: Path, root: Path) -> Task:
    from benchmarks.language.labels import LabelBench
    from benchmarks.language.numbers import NumberBench
    from benchmarks.language.ours import Training
    from benchmarks.language.text_peers import LABEL_PEERS, NUMBER_PEERS
    from classifier.division import divided
    from classifier.learnt_target import LOGARITHM
    from classifier.targets import Labels, Numbers
    from dataset.prepare.labelled_table import Columns, checksums, labelled_files, read_labelled

    chosen = _classifier(config, dataset)
    if len(chosen.targets) != 1:
        raise ValueError(f"target must name one column, got {chosen.target!r}")
    (name,) = chosen.targets
    files = labelled_files(dataset)
    table = read_labelled(
        files,
        Columns(
            text=chosen.texts,
            target=chosen.targets,
            task=chosen.task,
            token_budget=chosen.token_budget,
        ),
    )
    inputs = checksums(files)
    made_from: dict[str, Any] = {"files": inputs, "target": name, "text": list(table.text_columns)}
    made_from |= named_inputs(asdict(chosen))
    results = Results(folder=root / FOLDER, made_from=made_from)
    training, column = Training(config=chosen, inputs=inputs), table.targets[name]
    _require_peers(config, NUMBER_PEERS if isinstance(column, np.ndarray) else LABEL_PEERS)
    if isinstance(column, np.ndarray):
        target = Numbers.of(name, column, logarithm=LOGARITHM[chosen.logarithm])
        numbers = NumberBench(
            config=config, training=training, table=table, target=target, results=results
        )
        return Task(name="numbers", comparisons=numbers.comparisons)
    division = divided(table)
    learnt = np.concatenate([division.train, division.valid]).tolist()
    labels = LabelBench(
        config=config,
        training=training,
        table=table,
        division=division,
        labels=Labels.of(name, [column[row] for row in learnt], chosen.separator),
        results=results,
        root=root,
    )
    return Task(name="labels", comparisons=labels.comparisons, notes=labels.notes)


def _classifier(config: LanguageConfig, dataset: Path) -> ClassifierConfig:
    """The classifier's options, from its file of options as `make classify` reads them."""
    given = ["--config", config.classifier, "--dataset", str(dataset), "--target", config.target]
    given += ["--text", config.text]
    return asked(CLASSIFIER, ClassifierConfig, given, dataset="").config
