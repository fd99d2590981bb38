"""Options of the benchmark of language tasks; importable without torch."""

from dataclasses import dataclass

ALL = "all"
"""Instead of a number of labels a class: every labelled row"""


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """Options of measuring the product's language tasks beside what a shop would take otherwise."""

    target: str = ""
    """Column to predict, of a table; a folder with queries has none."""
    text: str = ""
    """Columns of the text, as for `make classify`."""
    per_class: str = ALL
    """Labelled texts of each class to learn from, several with commas: `10,50,200,all`."""
    seeds: int = 3
    """Draws of few labels; each figure is the mean over them."""
    typos: float = 0.1
    """Share of the words of the test texts that are also measured mistyped; 0 leaves this out."""
    folds: int = 5
    """Parts of a table with a column of numbers; each part is the test of the others once."""
    peers: str = ""
    """Peers to measure, several with commas; by default all of the task."""
    classifier: str = "configs/classifier.yaml"
    """Options of the classifier, as for `make classify`."""
    setfit_pairs: int = 20
    """Pairs of equal and of different labels a text that SetFit learns from."""
    peer_epochs: int = 1
    """Passes over the labels of a search that the bi-encoder and the cross-encoder learn from."""
    seed: int = 5
    """Seed of draws, folds and typing mistakes."""

    @property
    def label_counts(self) -> tuple[int | None, ...]:
        """Labelled texts of each class to learn from; None for all."""
        return tuple(None if one == ALL else int(one) for one in names_in(self.per_class))

    @property
    def chosen(self) -> tuple[str, ...]:
        """Peers to measure; none for all."""
        return names_in(self.peers)

    def __post_init__(self) -> None:
        wanted = names_in(self.per_class)
        if not wanted or any(one != ALL and not (one.isdecimal() and int(one)) for one in wanted):
            raise ValueError(
                f"per_class must be numbers from 1 or `{ALL}`, with commas, got {self.per_class!r}"
            )
        for name in ("seeds", "setfit_pairs", "peer_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, got {self.folds}")
        if not 0 <= self.typos <= 1:
            raise ValueError(f"typos must be in [0, 1], got {self.typos}")


def names_in(option: str) -> tuple[str, ...]:
    """Parts of an option with commas."""
    return tuple(name.strip() for name in option.split(",") if name.strip())
