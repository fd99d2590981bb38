"""`python -m answers ask`: answers of a finished stage, without a server."""

from collections.abc import Sequence
from pathlib import Path

import jsonargparse
from rich.console import Console
from rich.markup import escape

from lineage.cli import configure_logging, reported_errors
from lineage.options import OptionParser
from lineage.stages import ANSWERS


def main(arguments: Sequence[str]) -> None:
    """Print the answer to each question, with the entry and its probability."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = OptionParser(
        prog="python -m answers ask",
        description="Answer questions from a FAQ alone, without intents and products; "
        "`python -m serving answer` asks a server, which has both.",
    )
    parser.add_argument(
        "--model", type=Path, required=True, help=f"folder of the stage: artifacts/NAME/{ANSWERS}"
    )
    parser.add_argument("questions", nargs="+", type=str, help="questions, each in quotes")
    options = parser.parse_args(arguments)
    configure_logging()
    with reported_errors():
        for line in answered(options.model, options.questions):
            Console(soft_wrap=True, highlight=False).print(line)


def answered(model: Path, questions: Sequence[str]) -> list[str]:
    """Lines of each question: what is said, then the entry and its probability.

    Args:
        model: Folder of a finished stage.
        questions: The questions.

    Raises:
        ValueError: a question is blank.
        ArtifactError: the folder holds no answers stage of this version.
    """
    if not all(question.strip() for question in questions):
        raise ValueError("questions must not be blank, got a blank one")
    from answers.artifact import Answers
    from answers.compose import Facts, composed

    answers, lines = Answers.load(model), list[str]()
    for question, entry in zip(questions, answers.best(questions), strict=True):
        is_answered, text = composed(Facts(question=question, entry=entry), answers.rules)
        said = text or "–"
        lines += [
            f"[bold]> {escape(question)}[/bold]",
            escape(said) if is_answered else f"no answer: {escape(said)}",
            f"  {entry.probability:.1%} {escape(entry.title)} ({escape(entry.entry_id)})",
            "",
        ]
    return lines
