"""`python -m answers`: learn when a FAQ's entries answer questions, and measure it; or ask."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from answers.config import AnswersConfig
from dataset.config import DataConfig
from dataset.paths import dataset_name
from lineage.beside import asked
from lineage.cli import finished_config, reported_errors, run
from lineage.manifest import checksum, read_manifest, require_newest_format
from lineage.stages import ANSWERS, DATA

logger = logging.getLogger("answers")
ASK, TEMPLATES = "ask", "templates.yaml"


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn and measure, or ask, with the options of the command line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [ASK]:
        from answers.ask import main as ask

        ask(given[1:])
        return
    with reported_errors():
        read = asked(
            ANSWERS,
            AnswersConfig,
            given,
            more="The FAQ's stages up to `index` must be there; `make answers` makes them. "
            "`python -m answers ask` answers questions.",
            dataset="folder with the entries of a FAQ, and its queries and labels",
            commands=(ASK,),
        )
        name = dataset_name(str(read.dataset))
        shop = read.name or name
        answer(
            read.config,
            read.dataset,
            read.artifacts / name,
            (read.artifacts / shop, read.reports / shop),
            read.command,
        )


def answer(
    config: AnswersConfig, dataset: Path, faq: Path, outputs: tuple[Path, Path], command: str
) -> None:
    """Make the stage and measure it; skips what is up to date.

    Args:
        config: Options of the stage.
        dataset: Folder of the FAQ.
        faq: Folder of its stages.
        outputs: Folders of the shop's stages and of its reports.
        command: Command that repeats this.

    Raises:
        ValueError: the FAQ breaks a rule.
        ArtifactError: a stage of the FAQ is missing or older.
        OSError: a file cannot be read or written.
    """
    from answers.templates import Templates
    from answers.train import NEEDS, Faq, learns, train
    from dataset.prepare.faq import questions_without_entry

    root, reports = outputs
    options = finished_config(faq, DATA, DataConfig)
    path = Path(config.templates) if config.templates else dataset / TEMPLATES
    inputs, templates = dict[str, str](), Templates()
    if config.templates or path.is_file():
        templates, inputs[TEMPLATES] = Templates.read(path), checksum(path)
    _check_intents(templates, config.intent, root)
    unlabelled = questions_without_entry(dataset, options)
    made = Faq(root=faq, unlabelled=unlabelled, templates=templates)
    for stage in NEEDS if learns(made, config) else (DATA,):
        manifest = read_manifest(faq / stage, stage)
        require_newest_format(faq / stage, manifest, stage)
        inputs[stage] = manifest.fingerprint

    def build(config: AnswersConfig, _: Path, folder: Path) -> Mapping[str, Any]:
        return train(config, made, folder)

    run(ANSWERS, config, root, build, inputs=inputs)
    from answers.reporting import reported

    reported(root, reports, made, asdict(config), command)


def _check_intents(templates: Any, column: str, root: Path) -> None:
    """Refuse templates of intents that the shop's classifier does not know, if there is one.

    Raises:
        ValueError: names the intents and some labels.
    """
    from answers.intents import check_intents, labels_of

    labels = labels_of(root, column)
    if labels is None:
        if templates.intents:
            logger.warning(
                "no classifier of labels in %s yet: templates of intents wait for `make classify`",
                root,
            )
        return
    check_intents(templates, labels)


if __name__ == "__main__":
    main()
