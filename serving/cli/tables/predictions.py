"""Table of predictions."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from serving.cli.tables.layout import NUMBER, table
from shortlist_client.api.classification import Prediction
from shortlist_client.classify import Classified


def predictions_table(classified: Classified, inputs: Sequence[str]) -> RenderableType:
    """Table of predictions: input, labels with their probabilities, or its number.

    Args:
        classified: The predictions.
        inputs: Text or item id of each prediction.
    """
    by_number = any(one.number is not None for one in classified.predictions)
    columns = {"input": "", classified.target: NUMBER if by_number else ""}
    columns |= {} if by_number else {"probability": NUMBER}
    rows = [
        row
        for text, one in zip(inputs, classified.predictions, strict=True)
        for row in _rows(text, one, by_number=by_number)
    ]
    return table(f"{classified.target} predicted", columns, rows, notes=_notes(classified))


def _rows(text: str, prediction: Prediction, *, by_number: bool) -> Iterator[list[str]]:
    if by_number:
        number = prediction.number
        yield [text, "–" if number is None else f"{number:,.4g}"]
        return
    if not prediction.labels:
        yield [text, "–", ""]
    for place, one in enumerate(prediction.labels):
        yield ["" if place else text, one.label, f"{one.probability:.1%}"]


def _notes(classified: Classified) -> list[str]:
    lines = [f"classifier: {classified.versions.get('classifier', '–')}"]
    if classified.unknown_item_ids:
        lines.append(f"unknown items, skipped: {', '.join(classified.unknown_item_ids)}")
    return lines
