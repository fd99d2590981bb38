"""Command line options and output that the benchmarks share."""

import json
import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import jsonargparse

from dataset.paths import dataset_name
from lineage.options import OptionParser
from lineage.whole_files import replacing

logger = logging.getLogger("benchmarks")
Config = TypeVar("Config")


def parser(prog: str, about: str, config_type: type[Any]) -> OptionParser:
    """Parser of a benchmark's options: its configuration, the dataset, input and output folders.

    Args:
        prog: The command that runs the benchmark.
        about: First line of `--help`.
        config_type: Frozen dataclass of the benchmark's options.
    """
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    created = OptionParser(prog=prog, description=about)
    created.add_config(f"{config_type.__name__.removesuffix('Config').lower()}.yaml")
    created.add_argument("--dataset", required=True, help="`ml-100k`, or a folder of parquet files")
    created.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="input root")
    created.add_argument("--reports", type=Path, default=Path("reports"), help="output root")
    created.add_class_arguments(config_type)
    return created


def configuration(options: jsonargparse.Namespace, config_type: type[Config]) -> Config:
    """The configuration dataclass, taken from the instantiated options.

    Raises:
        ValueError: an option is out of range.
    """
    return config_type(**{f.name: options[f.name] for f in fields(config_type)})  # type: ignore[arg-type]


def folders(options: jsonargparse.Namespace) -> tuple[Path, Path]:
    """Folder of the dataset's stages and folder of its reports.

    Raises:
        ValueError: the dataset's folder has no name.
    """
    name = dataset_name(options.dataset)
    return options.artifacts / name, options.reports / name


def save_figures(reports: Path, name: str, figures: Mapping[str, Any]) -> None:
    """Write the figures to `<name>.json` atomically."""
    path = reports / f"{name}.json"
    with replacing(path) as partial:
        partial.write_text(json.dumps(figures, indent=1))
    logger.info("figures: %s", path)


def machine() -> str:
    """Processor, cores, system and Python that figures were measured with."""
    model: Any = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        model = next((x.split(": ")[1] for x in lines if x.startswith("model name")), model)
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )
