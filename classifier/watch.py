"""`python -m classifier watch`: alarms when the share of a label leaves its band."""

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.cli import configure_logging, reported_errors
from lineage.options import OptionParser

if TYPE_CHECKING:
    from classifier.bands import BandConfig
    from classifier.trends import Trends

logger = logging.getLogger("classifier.watch")
ALARMED = 1
"""Exit status after an alarm, where `--fail_on` asks for it"""


def main(arguments: Sequence[str]) -> None:
    """Watch the labels of a table, with the options of the command line."""
    options = _parser().parse_args(arguments)
    configure_logging()
    with reported_errors():
        from classifier.bands import BandConfig
        from classifier.baselines import BaselineConfig
        from classifier.watch_report import shown_alarms, write_watch

        baseline = BaselineConfig(days=options.baseline, least=min(14, options.baseline))
        config = BandConfig(baseline=baseline, rate=options.rate)
        trends, target = watched(options, config)
        command = shlex.join(["python", "-m", "classifier", "watch", *arguments])
        write_watch(trends, config, target, command, html=options.output, json_file=options.json)
    shown_alarms(trends, target)
    newest = [alarm for alarm in trends.alarms if alarm.day == trends.last_day]
    if {"none": [], "last": newest, "any": trends.alarms}[options.fail_on]:
        raise SystemExit(ALARMED)


def watched(options: Any, config: "BandConfig") -> tuple["Trends", str]:
    """The trends of a table's labels as a classifier predicts them, and the name of the column.

    Args:
        options: Model, input, columns, target and level, as on the command line.
        config: Bands.

    Raises:
        ArtifactError: the folder holds no classifier.
        ValueError: the table or an option breaks a rule.
    """
    from classifier.predict import Classifier
    from classifier.targets import Labels
    from classifier.trends import Counts, Trends
    from dataset.prepare.dated_table import read_dated
    from dataset.prepare.labelled_table import labelled_files

    classifier = Classifier.load(options.model)
    known = [one.name for one in classifier.parts.targets if isinstance(one, Labels)]
    target = options.target or next(iter(known), "")
    if target not in known:
        raise ValueError(f"target must be a column of labels, one of {known}, got {target!r}")
    labels = classifier.targets[target]
    assert isinstance(labels, Labels)
    if not 0 <= options.level <= len(labels.levels):
        raise ValueError(
            f"level must be within 1 and {len(labels.levels)}, or 0 for whole paths, "
            f"got {options.level}"
        )
    text = [name for name in options.text.split(",") if name] or classifier.text_columns
    table = read_dated(
        labelled_files(options.input),
        text,
        options.time,
        options.topic,
        classifier.parts.token_budget,
    )
    if table.left_out:
        logger.warning("%d rows without a text or a time are left out", table.left_out)
    best = classifier.labels(
        classifier.read(table.texts), 1, target=target, level=options.level - 1
    )
    counts = Counts.of(table.days, [row[0] for row in best.labels], table.topics)
    return Trends.of(counts, config), target


def _parser() -> OptionParser:
    parser = OptionParser(
        prog="python -m classifier watch",
        description="Count the labels of a table's texts by day, and by topic, and raise an alarm "
        "when the share of a label leaves the band that the days before it give.",
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of the classifier")
    parser.add_argument("--input", type=Path, required=True, help="table, or folder with one")
    parser.add_argument("--text", default="", help="columns of the text; by default as trained")
    parser.add_argument("--time", required=True, help="column of times or days (UTC)")
    parser.add_argument("--topic", default="", help="column of topics, each watched by itself, too")
    parser.add_argument("--target", default="", help="column of labels; by default the first one")
    parser.add_argument(
        "--level", type=int, default=0, help="level of paths, from 1; 0 for whole paths"
    )
    parser.add_argument(
        "--baseline", type=int, default=28, help="days before a day that give its band"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0.01,
        help="share of days without a change that may have any alarm, of all labels together",
    )
    parser.add_argument("--output", type=Path, help="HTML page to write")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    parser.add_argument(
        "--fail_on",
        choices=["none", "last", "any"],
        default="none",
        help=f"exit with status {ALARMED} after an alarm on the newest day, or on any day",
    )
    return parser
