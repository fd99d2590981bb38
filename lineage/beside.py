"""The command line of stages beside the pipeline, whose data need not be the shop's."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, TypeVar

import jsonargparse

from lineage.cli import configure_logging
from lineage.options import OptionParser
from lineage.stages import BESIDE

Config = TypeVar("Config")


@dataclass(frozen=True, kw_only=True)
class Asked(Generic[Config]):
    """What a command line asks for."""

    config: Config
    dataset: Path
    name: str
    """Name of the shop; empty for the dataset's."""
    artifacts: Path
    reports: Path
    """Root of the reports; of no meaning where the stage writes none."""
    command: str
    """Command that repeats this."""


def asked(
    stage: str,
    config_type: type[Config],
    given: Sequence[str],
    *,
    dataset: str,
    more: str = "",
    commands: Sequence[str] = (),
    file: str = "",
    reports: bool = True,
) -> Asked[Config]:
    """Read a command line, and configure logging.

    Args:
        stage: Path of the stage in `BESIDE`.
        config_type: Frozen dataclass of its options.
        given: The command line.
        dataset: What `--help` says of the dataset.
        more: What `--help` adds to the description of the stage.
        commands: Subcommands that have parsers of their own.
        file: Name of the file of options in a folder of such files; by default the stage's.
        reports: Whether the stage writes a report.

    Raises:
        ValueError: an option breaks a rule.
    """
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    made = BESIDE[stage]
    parser = OptionParser(
        prog=f"python -m {made.module}", description=f"{made.about} {more}".strip()
    )
    parser.commands = tuple(commands)
    parser.add_config(file or f"{stage}.yaml")
    parser.add_argument("--dataset", type=str, required=True, help=dataset)
    parser.add_argument("--name", default="", help="name of the output; by default the dataset's")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="output root")
    if reports:
        parser.add_argument(
            "--reports", type=Path, default=Path("reports"), help="root of the reports"
        )
    parser.add_class_arguments(config_type)
    options = parser.parse_args(list(given))
    configure_logging()
    options = parser.instantiate(options)
    names = [field.name for field in fields(config_type)]  # type: ignore[arg-type]  # a dataclass
    return Asked(
        config=config_type(**{name: options[name] for name in names}),
        dataset=Path(options.dataset),
        name=options.name,
        artifacts=options.artifacts,
        reports=options.reports if reports else Path(),
        command=shlex.join(["python", "-m", made.module, *given]),
    )
