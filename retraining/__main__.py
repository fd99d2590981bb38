"""`python -m retraining`: one night, from new events to a better release; `allow` allows a day."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import jsonargparse

from dataset.paths import dataset_name
from lineage.cli import configure_logging, reported_errors
from lineage.options import OptionParser
from retraining.config import NightlyConfig

logger = logging.getLogger("retraining")
ALLOW = "allow"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a night, or allow a day that is held back."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [ALLOW]:
        allow(given[1:])
        return
    parser = OptionParser(
        prog="python -m retraining",
        description="Gather what happened, hold bad days back, train, compare with the live "
        "release on the newest days, and publish what is no worse. A night that was killed goes on "
        f"when it is started again. `python -m retraining {ALLOW} DAY` allows a day's data.",
    )
    parser.commands = (ALLOW,)
    parser.add_config("nightly.yaml")
    _add_folders(parser)
    parser.add_argument("--releases", type=Path, default=Path("releases"), help="releases' root")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="reports' root")
    parser.add_argument("--wait", type=bool, default=True, help="wait for another night, or leave")
    parser.add_class_arguments(NightlyConfig)
    parsed = parser.parse_args(given)
    configure_logging()
    with reported_errors():
        from retraining.night import Night

        options = parser.instantiate(parsed)
        name = dataset_name(options.dataset)
        Night(
            config=NightlyConfig(**{f.name: options[f.name] for f in fields(NightlyConfig)}),
            dataset=options.dataset,
            artifacts=options.artifacts,
            releases=options.releases / name,
            reports=options.reports / name / "nights",
            wait=options.wait,
        ).run()


def allow(arguments: Sequence[str]) -> None:
    """Allow a day that is held back, so that the next night learns it."""
    parser = OptionParser(
        prog=f"python -m retraining {ALLOW}",
        description="Allow the data of a day that a night held back; the next one learns it.",
    )
    parser.add_argument("day", type=str, help="date as in the report: 2026-11-29")
    _add_folders(parser)
    options = parser.parse_args(arguments)
    configure_logging()
    with reported_errors():
        from retraining.held_days import HeldDays

        root = options.artifacts / dataset_name(options.dataset)
        HeldDays.read(root).allow(options.day).write(root)
        logger.info("%s is learnt in the next night", options.day)


def _add_folders(parser: OptionParser) -> None:
    parser.add_argument("--dataset", required=True, help="folder that the shop's data come from")
    parser.add_argument(
        "--artifacts", type=Path, default=Path("nightly"), help="root of the nights' stages"
    )


if __name__ == "__main__":
    main()
