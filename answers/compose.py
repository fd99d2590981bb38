"""Chooses and fills the template of an answer, or says that there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

from answers.artifact import Found, Rules
from answers.templates import OF_ENTRY, filled, placeholders

LIKELY = 0.5
"""Probability from which an intent's own template is used"""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a question."""

    question: str
    entry: Found
    intent: str = ""
    """The most probable intent; empty without a classifier."""
    intent_probability: float = 0.0
    products: Sequence[str] = ()
    """Titles of the products that a search of the question finds, best first."""
    price: str = ""
    """Price of the first product; empty if it has none."""

    @property
    def values(self) -> dict[str, str]:
        """Values by placeholder; empty ones are unknown."""
        return {
            "question": self.question,
            "intent": self.intent,
            "entry": self.entry.text,
            "title": self.entry.title,
            "product": self.products[0] if self.products else "",
            "products": ", ".join(self.products),
            "price": self.price,
        }


def composed(facts: Facts, rules: Rules) -> tuple[bool, str]:
    """Whether the question is answered, and what is said.

    The intent's template comes first, if the intent is likely, then the default. A template that
    shows the entry needs the learnt threshold. One without it rests on the intent, which must then
    be at least as probable as the wanted precision.
    """
    templates = rules.templates
    own = templates.intents.get(facts.intent) if facts.intent_probability >= LIKELY else None
    for template in (templates.default,) if own is None else (own, templates.default):
        shows_entry = placeholders("template", template) & OF_ENTRY
        by_entry = facts.entry.probability >= rules.threshold
        by_intent = template is own and facts.intent_probability >= rules.precision
        if by_entry if shows_entry else by_intent:
            text = filled(template, facts.values)
            if text is not None:
                return True, text
    return False, filled(templates.no_answer, facts.values) or ""
