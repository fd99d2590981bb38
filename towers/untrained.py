"""What stands in for decisions and trainings of the towers that a shop has no data for."""

import logging

from backbone.training import FitResult
from dataset.arrays import Dataset
from dataset.training_examples import training_examples
from towers.history_tower import HistoryTower
from towers.module import TowersModule

logger = logging.getLogger(__name__)
UNTRAINED = (
    "no user bought in two moments, so the towers are not trained: they compare texts as the "
    "pretrained backbone does"
)


def untrained(module: TowersModule) -> FitResult:
    """Make towers without training examples: a shopper is where the items of the history are."""
    for model in (module.model, module.average):
        if isinstance(model.user_tower, HistoryTower):
            model.user_tower.trust_items()
    return FitResult(epochs=0, best=float("nan"))


def notes_of_trial(data: Dataset, *, stopping: int, epochs: int) -> list[str]:
    """Why the number of epochs is no choice of the trial, if it is none; also logged.

    Args:
        data: The dataset.
        stopping: Number of validation cases that can stop the training.
        epochs: Number of epochs if nothing stops it.
    """
    if stopping:
        return []
    if not len(training_examples(data.for_refit())):
        return noted(UNTRAINED)
    return noted(
        "no user's next item can be predicted in the validation split, so the towers are trained "
        f"for all {epochs} epochs (training.max_epochs)"
    )


def notes_of_refit(examples: int) -> list[str]:
    """Whether there is nothing to train on; also logged.

    Args:
        examples: Number of training examples.
    """
    return [] if examples else noted(UNTRAINED)


def noted(note: str) -> list[str]:
    """A note for the manifest, which is logged, too."""
    logger.warning(note)
    return [note]
