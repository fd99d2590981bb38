"""`python -m benchmarks.latency.encoding`: encoding, training and embedding beside a peer."""

import os
import platform
from dataclasses import asdict
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

from benchmarks.command import configuration, folders, parser, save_figures
from dataset.arrays import load_dataset
from lineage.cli import configure_logging, reported_errors
from towers.config import TowersConfig


def main() -> None:
    """Measure on the dataset that the command line names; print and write the table."""
    options = parser("python -m benchmarks.latency.encoding", "Speed of the towers.", TowersConfig)
    options.add_argument("--rounds", type=int, default=2, help="how often each is measured")
    parsed = options.parse_args()
    from benchmarks.latency.towers_speed import changed, encoding, training, user_embedding

    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        config = configuration(arguments, TowersConfig)
        root, reports = folders(arguments)
        data = load_dataset(root / "data")
        encoded = encoding(data, config, arguments.rounds)
        found = [
            user_embedding(data, config, arguments.rounds),
            encoded,
            changed(data, config, encoded),
            training(data, config),
        ]
        machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {version('torch')}"
        table = Table("", "ours", "sentence-transformers", "", "times faster", "", title=root.name)
        for one in found:
            table.add_row(
                one.what, f"{one.ours:,}", f"{one.peer:,}", one.unit, f"{one.ratio}", one.note
            )
        Console(width=140).print(table)
        comparisons = [asdict(one) for one in found]
        content = {"dataset": root.name, "machine": machine, "comparisons": comparisons}
        save_figures(reports, "speed", content)


if __name__ == "__main__":
    main()
