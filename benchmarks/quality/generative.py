"""`python -m benchmarks.quality.generative`: what a decoder generates, alone and merged."""

from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.quality.config import BenchConfig
from benchmarks.report.tables import intervals_table
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import read_manifest
from lineage.stages import GENERATIVE, RETRIEVAL


def main() -> None:
    """Score the generative source of a dataset, print a table, and write `generative.json`."""
    parsed = parser(
        "python -m benchmarks.quality.generative",
        "What a decoder generates, alone beside peers and merged with the other sources.",
        BenchConfig,
    ).parse_args()
    from benchmarks.quality.generated_recall import score

    configure_logging()
    with reported_errors():
        root, reports = folders(parsed)
        systems = score(configuration(parsed, BenchConfig), parsed.dataset, root)
        stages = (*RETRIEVAL, GENERATIVE)
        versions = {stage: read_manifest(root / stage, stage).fingerprint for stage in stages}
        Console(width=190).print(intervals_table(f"{root.name}: test, history excluded", systems))
        save_figures(reports, "generative", {"made from": versions, "systems": systems})


if __name__ == "__main__":
    main()
