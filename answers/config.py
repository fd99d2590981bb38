"""Options of the answers stage; importable without torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AnswersConfig:
    """When a question is answered, and what is said then."""

    precision: float = 0.9
    """Wanted share of right answers among those that are given."""
    confidence: float = 0.95
    """How certain it must be, by the validation questions, that the wanted precision is kept."""
    unanswerable: float = 0.3
    """Share of the questions that no entry answers, as it is expected in service. Probabilities and
    the threshold hold for this share."""
    answer: str = ""
    """Column of the entries that holds the answer; by default the first of `answer`, `description`
    and `text` that an entry has, or else its title."""
    templates: str = ""
    """YAML file of templates; by default `templates.yaml` of the dataset, if there is one."""
    intent: str = ""
    """Column of the release's classifier that holds the intents; by default its first column of
    labels."""
    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Pretrained backbone that compares questions with titles where too few questions are labelled:
    local folder, or hub name with the commit of its revision. Otherwise the towers' is used."""
    price: str = "price"
    """Attribute of a product that `{price}` shows."""

    def __post_init__(self) -> None:
        for name in ("precision", "confidence", "unanswerable"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be within 0 and 1, got {getattr(self, name)}")
