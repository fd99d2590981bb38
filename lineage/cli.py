"""The command line that every stage shares: reads a configuration and makes the stage's folder."""

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path, PurePath
from typing import Any, TypeVar

import jsonargparse

from lineage.log_lines import LineFormatter, json_formatter
from lineage.manifest import (
    ArtifactError,
    is_up_to_date,
    read_manifest,
    require_newest_format,
    writing,
)
from lineage.named_inputs import named_inputs
from lineage.options import OptionParser
from lineage.processes import writes
from lineage.stages import STAGES, stage_named

logger = logging.getLogger(__name__)
Config = TypeVar("Config")
PACKAGES = (
    "answers",
    "backbone",
    "benchmarks",
    "classifier",
    "dataset",
    "evaluation",
    "events",
    "generative",
    "index",
    "lineage",
    "online",
    "pretraining",
    "profiles",
    "ranker",
    "retrieval",
    "serving",
    "shortlist_client",
    "towers",
)

Build = Callable[[Any, Path, Path], Mapping[str, Any]]
"""Makes a stage from its configuration, the folder of the dataset's stages and the folder to write
to; returns the manifest's facts."""


def run_stage(stage: str, config_type: type[Any], build: Build) -> None:
    """Parse the command line and run the stage, unless it is up to date.

    A user's mistake ends the program with status 2 and one message.

    Args:
        stage: Path of the stage.
        config_type: Frozen dataclass of the stage's options.
        build: Makes the stage. It imports slow modules when it is called, so that `--help` and an
            up-to-date stage take no time.
    """
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    made = stage_named(stage)
    parser = OptionParser(prog=f"python -m {made.module}", description=made.about)
    parser.add_config(f"{PurePath(stage).name}.yaml")
    parser.add_argument(
        "--dataset", required=True, help="`ml-100k`, or the folder that the data came from"
    )
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="output root")
    parser.add_class_arguments(config_type)
    parsed = parser.parse_args()
    configure_logging()
    with reported_errors():
        arguments = parser.instantiate(parsed)
        config = config_type(**{f.name: arguments[f.name] for f in fields(config_type) if f.init})
        root = arguments.artifacts / Path(arguments.dataset).resolve().name
        run(stage, config, root, build)


def run_again(stage: str, repeated: str, config_type: type[Any], build: Build) -> None:
    """Parse the command line and run a stage with the options of a finished stage.

    Args:
        stage: Path of the stage in `STAGES`.
        repeated: Path of the stage whose options it repeats.
        config_type: Frozen dataclass of the options.
        build: Makes the stage, see `run_stage`.
    """
    made = STAGES[stage]
    parser = argparse.ArgumentParser(
        prog=f"python -m {made.module}",
        description=f"{made.about} The options are those of the finished {repeated} stage.",
    )
    parser.add_argument("--dataset", required=True, help="as for the other stages")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="output root")
    arguments = parser.parse_args()
    configure_logging()
    with reported_errors():
        root = arguments.artifacts / Path(arguments.dataset).resolve().name
        run(stage, finished_config(root, repeated, config_type), root, build)


def finished_config(root: Path, stage: str, config_type: type[Config]) -> Config:
    """The options of a finished stage, from its manifest.

    Raises:
        ArtifactError: the stage is missing or older.
    """
    manifest = read_manifest(root / stage, stage)
    require_newest_format(root / stage, manifest, stage)
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(config_type)
    options = parser.instantiate(parser.parse_object(dict(manifest.config)))
    return config_type(**{name: options[name] for name in manifest.config})


def run(
    stage: str,
    config: Any,
    root: Path,
    build: Build,
    *,
    force: bool = False,
    inputs: Mapping[str, str] | None = None,
) -> None:
    """Make a stage, unless it is finished with the same configuration and inputs.

    Of processes that train together, the first one writes the stage; the others take part in the
    training and leave nothing behind.

    Args:
        stage: Path of the stage in `STAGES`.
        config: The stage's options.
        root: Folder of the dataset's stages.
        build: Makes the stage.
        force: Make the stage even if it is up to date.
        inputs: Fingerprints of the inputs; by default those of the stages that it needs. Those of
            stages that its options name are added.

    Raises:
        ArtifactError: an input stage is missing or cannot be read.
    """
    if inputs is None:
        needs = stage_named(stage).needs
        inputs = {name: read_manifest(root / name, name).fingerprint for name in needs}
    options = asdict(config)
    inputs = {**inputs, **named_inputs(options)}
    folder = root / stage
    if not force and is_up_to_date(folder, stage=stage, config=options, inputs=inputs):
        logger.info("%s is up to date in %s", stage, folder)
        return
    if not writes():
        with tempfile.TemporaryDirectory() as scratch:
            build(config, root, Path(scratch))
        return
    with writing(folder, stage=stage, config=options, inputs=inputs) as (partial, facts):
        facts.update(build(config, root, partial))
    for checkpoints in root.glob(f"training/{stage}-*/checkpoints"):
        shutil.rmtree(checkpoints)  # kept until here, so that a failed stage can resume
    manifest = read_manifest(folder, stage)
    figures = {name: fact for name, fact in manifest.facts.items() if not isinstance(fact, list)}
    logger.info("%s took %.0f s: %s", stage, manifest.seconds, figures)


def configure_logging(*, as_json: bool = False) -> None:
    """Log to standard error; other libraries log only warnings and errors.

    Args:
        as_json: Write one JSON object per line, and a line for every served call.
    """
    handler = logging.StreamHandler()
    handler.addFilter(is_ours_or_serious)
    if not writes():  # the first of the processes that train together tells
        handler.setLevel(logging.ERROR)
    if as_json:
        handler.setFormatter(json_formatter())
        logging.getLogger("serving.calls").setLevel(logging.DEBUG)
    else:
        handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def is_ours_or_serious(record: logging.LogRecord) -> bool:
    """Whether a record is from one of our packages, or at least a warning."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in PACKAGES


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn errors that the user can fix into exit status 2 and a message without traceback."""
    try:
        yield
    except (ArtifactError, ValueError, OSError) as error:
        logger.debug("cause", exc_info=error)
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from error
