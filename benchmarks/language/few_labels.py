"""`python -m benchmarks.language.few_labels`: accuracy from a few examples a label, by backbone."""

import logging
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.command import configuration, parser, save_figures
from benchmarks.language.few import drawn, fingerprint, read
from benchmarks.report.tables import intervals_table
from classifier.config import ClassifierConfig
from dataset.labelled_texts import LabelledTexts, table_name
from evaluation.intervals import Interval, difference_interval, mean_interval
from lineage.cli import configure_logging, reported_errors

logger = logging.getLogger("benchmarks.language.few_labels")
PLAIN, PRETRAINED = "backbone", "pre-trained backbone"
WAYS = ("heads alone", "fine-tuned")
HEAD_STEPS = 200
"""Steps of a training of the heads alone, which are quick"""


def main() -> None:
    """Measure on a table, print a table, and write `few_labels.json`."""
    options = parser(
        "python -m benchmarks.language.few_labels",
        "Accuracy of labels learnt from a few examples each, by the backbone of the configuration "
        "and by a pre-trained one.",
        ClassifierConfig,
    )
    options.add_argument(
        "--pretrained", required=True, help="folder that `make pretrain` wrote from this table"
    )
    options.add_argument("--shots", type=list[int], default=[10, 50], help="examples of a label")
    options.add_argument("--draws", type=int, default=3, help="draws of the examples")
    options.add_argument(
        "--steps",
        type=int,
        default=150,
        help="steps of a fine-tuning, about; 0 trains the heads alone",
    )
    parsed = options.parse_args()
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        name, config = table_name(arguments.dataset), configuration(arguments, ClassifierConfig)
        if not arguments.shots or arguments.draws < 1 or arguments.steps < 0:
            raise ValueError(
                "shots must name a number, draws be at least 1 and steps not negative, got "
                f"{arguments.shots}, {arguments.draws} and {arguments.steps}"
            )
        table = read(arguments.dataset, config)
        from backbone.load import load_tokenizer

        load_tokenizer(arguments.pretrained)  # a wrong folder is refused before anything is trained
        figures = {
            f"{shots} a label, {way}": compared(
                steps_of(config, way, HEAD_STEPS if way == WAYS[0] else arguments.steps),
                arguments.pretrained,
                table,
                arguments.artifacts / name,
                shots=shots,
                draws=arguments.draws,
            )
            for shots in arguments.shots
            for way in (WAYS if arguments.steps else WAYS[:1])
        }
        Console(width=140).print(intervals_table(f"{name}: accuracy of the test", figures))
        save_figures(arguments.reports / name, "few_labels", figures)


def steps_of(config: ClassifierConfig, way: str, steps: int) -> ClassifierConfig:
    """Options of heads alone, or of a fine-tuning, for so many steps in one epoch."""
    training = config.training
    return replace(
        config,
        least_steps=steps,
        training=replace(
            training,
            max_epochs=1,
            examples_per_epoch=steps * training.batch_size,
            trained_layers=0 if way == WAYS[0] else training.trained_layers,
        ),
    )


def compared(
    config: ClassifierConfig,
    pretrained: str,
    table: LabelledTexts,
    root: Path,
    *,
    shots: int,
    draws: int,
) -> dict[str, Interval]:
    """Accuracy of both backbones and their paired difference, the means over draws.

    Args:
        config: Options of the classifier.
        pretrained: Folder of the pre-trained backbone.
        table: Texts with labels.
        root: Folder of the dataset's stages.
        shots: Examples of each label.
        draws: Draws of the examples.
    """
    both = {PLAIN: config, PRETRAINED: replace(config, backbone=pretrained)}
    right = {
        name: np.mean([correct(one, table, root, shots, draw) for draw in range(draws)], axis=0)
        for name, one in both.items()
    }
    difference = difference_interval(right[PRETRAINED], right[PLAIN])
    means = {name: mean_interval(values) for name, values in right.items()}
    logger.info("%d a label: %s, difference %s", shots, means, difference)
    return means | {f"{PRETRAINED} − {PLAIN}": difference}


def correct(
    config: ClassifierConfig, table: LabelledTexts, root: Path, shots: int, draw: int
) -> NDArray[np.float64]:
    """(test texts,): 1 where a classifier that learns a draw of the training texts is right."""
    from backbone.encode_texts import encode_texts
    from backbone.load import load_tokenizer
    from backbone.training import training_folder
    from classifier.division import divided
    from classifier.fit import encoded, finished, fit_classifier
    from classifier.learnt_target import target_of

    name = config.targets[0]
    labels = list(table.targets[name])
    division = divided(table)
    rows = drawn(labels, np.concatenate([division.train, division.valid]), shots, draw)
    target = target_of(name, table, replace(division, train=rows), config)
    config = replace(config, target=name)
    data = encoded(config, table, [target], rows, root / "training")
    folder = training_folder(root, "few-labels", asdict(config), fingerprint(table), shots, draw)
    module, _ = fit_classifier(config, data, rows, folder, valid=None)
    bert, parts = finished(module, config, table)
    texts = [table.texts[row] for row in division.test.tolist()]
    tokenizer = load_tokenizer(config.backbone)
    states = encode_texts(bert, texts, tokenizer, max_tokens=config.max_tokens)
    output = parts.outputs(target)[-1]
    wanted: NDArray[np.int64] = data.classes[division.test, output]
    found: NDArray[np.float64] = (parts.logits(states, output).argmax(axis=1) == wanted).astype(
        float
    )
    return found


if __name__ == "__main__":
    main()
