"""`python -m benchmarks.latency.encoding`: speed of encoding and training against a peer."""

import os
import platform
from dataclasses import asdict
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

from benchmarks.command import configuration, folders, parser, save_figures
from dataset.arrays import load_dataset
from lineage.cli import configure_logging, reported_errors
from lineage.stages import DATA
from towers.config import TowersConfig


def main() -> None:
    """Measure on a dataset, print a table, and write `speed.json`."""
    options = parser("python -m benchmarks.latency.encoding", "Speed of the towers.", TowersConfig)
    options.add_argument("--rounds", type=int, default=2, help="times that each system is measured")
    parsed = options.parse_args()
    from benchmarks.latency.towers_speed import changed, encoding, training, user_embedding

    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        config = configuration(arguments, TowersConfig)
        root, reports = folders(arguments)
        data = load_dataset(root / DATA)
        encoded = encoding(data, config, arguments.rounds)
        comparisons = [
            user_embedding(data, config, arguments.rounds),
            encoded,
            changed(data, config, encoded),
            training(data, config),
        ]
        machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {version('torch')}"
        table = Table("", "ours", "sentence-transformers", "", "times faster", "", title=root.name)
        for one in comparisons:
            table.add_row(
                one.what, f"{one.ours:,}", f"{one.peer:,}", one.unit, f"{one.ratio}", one.note
            )
        Console(width=140).print(table)
        rows = [asdict(one) for one in comparisons]
        content = {"dataset": root.name, "machine": machine, "comparisons": rows}
        save_figures(reports, "speed", content)


if __name__ == "__main__":
    main()
