"""`python -m benchmarks.quality.recall`: recall of both sources, without the ranker."""

from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.quality.config import BenchConfig
from benchmarks.report.tables import intervals_table
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import read_manifest
from lineage.stages import RETRIEVAL


def main() -> None:
    """Score the recall sources of a dataset, print a table, and write `recall.json`."""
    parsed = parser(
        "python -m benchmarks.quality.recall",
        "Recall of both sources, without the ranker.",
        BenchConfig,
    ).parse_args()
    from benchmarks.quality.retrieval_recall import score

    configure_logging()
    with reported_errors():
        root, reports = folders(parsed)
        systems = score(configuration(parsed, BenchConfig), parsed.dataset, root)
        versions = {stage: read_manifest(root / stage, stage).fingerprint for stage in RETRIEVAL}
        Console(width=190).print(intervals_table(f"{root.name}: test, history excluded", systems))
        save_figures(reports, "recall", {"made from": versions, "systems": systems})


if __name__ == "__main__":
    main()
