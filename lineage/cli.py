"""The command line that every stage shares: configuration in, finished folder out."""

import logging
import pkgutil
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import jsonargparse

from lineage.manifest import ArtifactError, is_up_to_date, read_manifest, writing

logger = logging.getLogger(__name__)
PACKAGES = (
    "backbone",
    "benchmarks",
    "dataset",
    "events",
    "index",
    "lineage",
    "ranker",
    "retrieval",
    "serving",
    "towers",
)


def run_stage(
    stage: str,
    config_type: type[Any],
    *,
    needs: Sequence[str],
    build: str,
    about: str,
) -> None:
    """Parse the command line, and run the stage unless it is up to date.

    A user's mistake ends the program with status 2 and one message.

    Args:
        stage: Its folder below the dataset's, which its name ends.
        config_type: Frozen dataclass of its options.
        needs: Stages that it reads.
        build: `module:function` of the stage, imported only when there is work. It takes the
            configuration, the folder of the dataset's stages and the folder to write into, and
            returns the manifest's facts.
        about: First line of `--help`.
    """
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(prog=f"python -m {_module()}", description=about)
    parser.add_argument("--config", action="config", help="YAML file with the options below")
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
        run(stage, config, root, needs=needs, build=build)


def run(
    stage: str,
    config: Any,
    root: Path,
    *,
    needs: Sequence[str],
    build: str,
    anew: bool = False,
) -> None:
    """Run a stage; unless `anew`, a finished one of the same configuration and inputs will do."""
    inputs = {name: read_manifest(root / name, name).fingerprint for name in needs}
    options = asdict(config)
    folder = root / stage
    if not anew and is_up_to_date(folder, stage=stage, config=options, inputs=inputs):
        logger.info("%s is up to date in %s", stage, folder)
        return
    with writing(folder, stage=stage, config=options, inputs=inputs) as (partial, facts):
        facts.update(pkgutil.resolve_name(build)(config, root, partial))
    for checkpoints in root.glob(f"training/{stage}-*/checkpoints"):
        shutil.rmtree(checkpoints)  # only now is the training safe without them
    manifest = read_manifest(folder, stage)
    figures = {name: fact for name, fact in manifest.facts.items() if not isinstance(fact, list)}
    logger.info("%s took %.0f s: %s", stage, manifest.seconds, figures)


def _module() -> str:
    """What was typed after `python -m`."""
    spec = sys.modules["__main__"].__spec__
    return spec.name.removesuffix(".__main__") if spec else "stage"


def configure_logging(*, as_json: bool = False) -> None:
    """Log to standard error; libraries speak only when something is wrong.

    Args:
        as_json: An object a line, and a line for every call that is served.
    """
    handler = logging.StreamHandler()
    handler.addFilter(_is_ours_or_serious)
    if as_json:
        from pythonjsonlogger.json import JsonFormatter

        fields = ["levelname", "name", "message"]
        handler.setFormatter(JsonFormatter(fields, timestamp=True))
        logging.getLogger("serving.calls").setLevel(logging.DEBUG)
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _is_ours_or_serious(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in PACKAGES


@contextmanager
def reported_errors() -> Iterator[None]:
    """End the program with status 2 and the message alone when the user can mend the cause."""
    try:
        yield
    except (ArtifactError, ValueError, OSError) as error:
        logger.debug("cause", exc_info=error)
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from error
