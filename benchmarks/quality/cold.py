"""`python -m benchmarks.quality.cold`: recall of items that are new, rare or searched for."""

from pathlib import Path

from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.report.tables import intervals_table
from lineage.cli import configure_logging, reported_errors
from lineage.options import options_in
from pretraining.config import PretrainConfig
from towers.config import TowersConfig


def main() -> None:
    """Measure on a dataset, print a table, and write `cold.json`."""
    options = parser(
        "python -m benchmarks.quality.cold", "Recall of items new to the towers.", TowersConfig
    )
    options.add_argument("--share", type=float, default=0.05, help="share of the items held out")
    options.add_argument(
        "--pretraining",
        type=Path,
        help="YAML file of `python -m pretraining`: also measure a backbone that is pre-trained "
        "without the held-out items",
    )
    parsed = options.parse_args()
    from benchmarks.quality.new_items import compare

    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        root, reports = folders(arguments)
        share, file = arguments.share, arguments.pretraining
        pretraining = None if file is None else options_in(file, PretrainConfig)
        sections = compare(configuration(arguments, TowersConfig), root, share, pretraining)
        for section, systems in sections.items():
            Console(width=120).print(intervals_table(f"{root.name}: {section}", systems))
        save_figures(reports, "cold", {"share": share, "sections": sections})


if __name__ == "__main__":
    main()
