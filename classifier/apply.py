"""`python -m classifier apply`: fill in missing labels and numbers, or flag odd numbers."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lineage.cli import configure_logging, reported_errors
from lineage.options import OptionParser

if TYPE_CHECKING:
    from classifier.predict import Classifier, States
    from classifier.targets import Labels, Numbers
    from dataset.labelled_texts import LabelledTexts
    from dataset.prepare.filled_table import Filling

logger = logging.getLogger("classifier.apply")


def main(arguments: Sequence[str]) -> None:
    """Fill in a table, with the options of the command line."""
    parser = OptionParser(
        prog="python -m classifier apply",
        description="Fill in the labels and numbers that a table lacks, with the probability of "
        "each filled label in a column of its own. `--flag` marks odd numbers instead.",
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of the classifier")
    parser.add_argument("--input", type=Path, required=True, help="folder with items, or a file")
    parser.add_argument(
        "--output", type=Path, required=True, help="file to write: .parquet, .csv or .jsonl"
    )
    parser.add_argument(
        "--min_probability", type=float, default=0.5, help="least probability of a filled label"
    )
    parser.add_argument(
        "--flag", action="store_true", help="mark numbers far out of line; fill in none"
    )
    parser.add_argument(
        "--deviations",
        type=float,
        default=4.0,
        help="robust standard deviations from which a number is far out of line",
    )
    options = parser.parse_args(arguments)
    configure_logging()
    with reported_errors():
        if not 0 <= options.min_probability <= 1:
            raise ValueError(f"min_probability must be in [0, 1], got {options.min_probability}")
        if options.deviations <= 0:
            raise ValueError(f"deviations must be positive, got {options.deviations}")
        fill(
            options.model,
            options.input,
            options.output,
            min_probability=options.min_probability,
            deviations=options.deviations if options.flag else None,
        )


def fill(
    model: Path, source: Path, output: Path, *, min_probability: float, deviations: float | None
) -> None:
    """Write a table with every target of a classifier filled in.

    Args:
        model: Folder of the classifier.
        source: Folder with items, or a file.
        output: File to write.
        min_probability: Least probability of a label that is filled in.
        deviations: Robust standard deviations from which a number is flagged; None fills numbers
            in instead.

    Raises:
        ArtifactError: the folder holds no classifier.
        ValueError: the table or the output breaks a rule.
    """
    from dataset.prepare.filled_table import read_partial, require_output, write_filled
    from dataset.prepare.labelled_table import labelled_files

    files = labelled_files(source)
    require_output(files, output)
    from classifier.predict import Classifier
    from classifier.targets import Numbers

    classifier = Classifier.load(model)
    numeric = {name: isinstance(one, Numbers) for name, one in classifier.targets.items()}
    parts = classifier.parts
    table = read_partial(files, parts.text_columns, numeric, parts.token_budget)
    states = classifier.read(table.texts)
    fillings = []
    for target in parts.targets:
        if isinstance(target, Numbers):
            fillings.append(_numbers(classifier, target, table, states, deviations))
        else:
            fillings.append(_labels(classifier, target, table, states, min_probability))
    write_filled(files, fillings, output)
    logger.info("%s is written", output)


def _labels(
    classifier: "Classifier",
    target: "Labels",
    table: "LabelledTexts",
    states: "States",
    least: float,
) -> "Filling":
    from dataset.prepare.filled_table import Filling

    known = table.targets[target.name]
    found = classifier.labels(states, 1, target=target.name)
    missing = [known[row] is None and bool(text) for row, text in enumerate(table.texts)]
    sure = found.probabilities[:, 0] >= least
    logger.info(
        "%s: %d of %d missing labels are filled in",
        target.name,
        int((np.array(missing) & sure).sum()),
        sum(one is None for one in known),
    )
    return Filling(
        column=target.name,
        values=[
            found.labels[row][0] if lacks and sure[row] else None
            for row, lacks in enumerate(missing)
        ],
        beside={
            f"{target.name}_probability": [
                round(float(found.probabilities[row, 0]), 4) if lacks else None
                for row, lacks in enumerate(missing)
            ]
        },
    )


def _numbers(
    classifier: "Classifier",
    target: "Numbers",
    table: "LabelledTexts",
    states: "States",
    deviations: float | None,
) -> "Filling":
    from dataset.prepare.filled_table import Filling

    known = np.asarray(table.targets[target.name], np.float64)
    scaled = classifier.scaled(states, table.texts, target)
    expected = [float(f"{value:.4g}") for value in target.in_units(scaled).tolist()]
    has_text = [bool(text) for text in table.texts]
    if deviations is None:
        missing = ~np.isfinite(known) & has_text
        logger.info("%s: %d missing numbers are filled in", target.name, int(missing.sum()))
        values = [expected[row] if lacks else None for row, lacks in enumerate(missing.tolist())]
        filled = missing.tolist()
        return Filling(column=target.name, values=values, beside={f"{target.name}_filled": filled})
    far = (target.scaled(known) - scaled - target.centre) / target.spread
    odd = np.isfinite(known) & has_text & ~(np.abs(far) <= deviations)
    logger.info("%s: %d numbers are far out of line", target.name, int(odd.sum()))
    return Filling(
        column=target.name,
        values=[None] * len(table),
        beside={
            f"{target.name}_expected": expected,
            f"{target.name}_deviations": [
                round(value, 2) if np.isfinite(value) else None for value in far.tolist()
            ],
            f"{target.name}_flag": odd.tolist(),
        },
    )
