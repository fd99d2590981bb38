"""Options of the ranker; importable without torch."""

from dataclasses import dataclass, field
from typing import Literal

from backbone.config import TrainingConfig

PAYS = "ranking pays"
"""Key of a ranker stage's fact: whether its order is better than the shortlist's"""


@dataclass(frozen=True, kw_only=True)
class RankerConfig:
    """BERT cross-attention over history and candidates, trained on mined shortlists."""

    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Local folder of an encoder or a decoder, or hub name with the commit of its revision:
    `sentence-transformers/all-MiniLM-L6-v2@` and 40 hexadecimal digits."""
    kind: Literal["attention", "late", "joint"] = "attention"
    """`attention` lets candidates attend to the items of the history; the backbone encodes all
    texts once, when the ranker is made: fast. With `late`, candidates attend to the history only
    in the backbone's trained layers. `joint` reads every pair as one text through all layers:
    slow, a reference for quality."""
    width: int = 128
    """Width of the layers of `attention`, a multiple of 32."""
    layers: int = 2
    """Layers of `attention` in which candidates attend to the history."""
    history_length: int = 50
    """Most items of a history that are read, the newest; for `attention`."""
    item_tokens: int = 32
    """Most word pieces of a candidate's text."""
    item_states: int = 4
    """Hidden states stored per candidate; for `late`."""
    title_tokens: int = 16
    """Most word pieces of one title in the history; for `late` and `joint`."""
    history_tokens: int = 48
    """Most word pieces of the history, the newest titles that fit; for `late` and `joint`."""
    candidates: int = 200
    """Items drawn from a shortlist per training example: the bought ones, and others at random."""
    ranked: int = 200
    """Candidates of a shortlist that validation ranks; serve with the same number."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            examples_per_epoch=12_000,
            max_epochs=4,
            batch_size=32,
            learning_rate=3e-4,
            new_learning_rate=2.5e-3,
            patience=4,
            weight_decay=0.05,
            dropout=0.2,
        )
    )
    """Options of the training; one example is one shortlist."""

    def __post_init__(self) -> None:
        for name in ("layers", "history_length", "item_tokens", "title_tokens", "ranked"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.candidates < 2:
            raise ValueError(f"candidates must be at least 2, got {self.candidates}")
        if self.width < 32 or self.width % 32:
            raise ValueError(f"width must be a multiple of 32, got {self.width}")
        if not 1 <= self.item_states <= 255:
            raise ValueError(f"item_states must be within 1 and 255, got {self.item_states}")
        if self.kind == "late" and self.training.trained_layers < 1:
            raise ValueError("trained_layers must be at least 1 for `late`, got 0")
        if self.kind == "attention" and self.training.adversarial != "none":
            raise ValueError(
                "training.adversarial must be none for `attention`, which trains on encoded texts, "
                f"got {self.training.adversarial}"
            )
        if self.history_tokens < 3:
            raise ValueError(f"history_tokens must be at least 3, got {self.history_tokens}")
