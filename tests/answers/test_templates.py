import numpy as np
import pytest

from answers.artifact import Found, Rules
from answers.compose import Facts, composed
from answers.confidence import Confidence
from answers.intents import labels_of
from answers.templates import Templates, filled
from classifier.targets import Labels, Numbers

OWN = {"buy": "{product} costs {price}.", "care": "{entry} ({title})"}
TEMPLATES = Templates(no_answer="Sorry: {question}", intents=OWN)


def said(probability, templates=TEMPLATES, **known):
    entry = Found(entry_id="e", title="Washing", text="At 30°.", probability=probability)
    rules = Rules(
        share=0.5,
        confidence=Confidence(weights=(1.0,), bias=0.0),
        threshold=0.6,
        precision=0.9,
        templates=templates,
    )
    return composed(Facts(question="How?", entry=entry, **known), rules)


def test_an_entry_is_said_from_the_threshold_on():
    assert said(0.6) == (True, "At 30°.")
    assert said(0.59) == (False, "Sorry: How?")


def test_the_template_of_a_likely_intent_comes_first():
    assert said(0.7, intent="care", intent_probability=0.5) == (True, "At 30°. (Washing)")
    assert said(0.7, intent="care", intent_probability=0.4) == (True, "At 30°.")


def test_a_template_without_entry_needs_an_intent_as_sure_as_the_wanted_precision():
    found = {"products": ["Mug", "Cup"], "price": "2.5", "intent": "buy"}

    assert said(0.1, **found, intent_probability=0.9) == (True, "Mug costs 2.5.")
    assert said(0.1, **found, intent_probability=0.89) == (False, "Sorry: How?")


def test_a_template_that_nothing_fills_gives_way_to_the_default():
    found = {"products": ["Mug"], "intent": "buy", "intent_probability": 0.95}

    assert said(0.7, **found) == (True, "At 30°.")
    assert said(0.5, **found) == (False, "Sorry: How?")


def test_what_customers_write_is_never_read_as_a_template():
    assert filled("{question} {{}}", {"question": "{entry} {0}"}) == "{entry} {0} {}"


def test_a_file_of_templates_is_read(tmp_path):
    path = tmp_path / "templates.yaml"
    path.write_text("no_answer: 'Sorry: {question}'\nintents:\n  buy: '{product}'\n")

    assert Templates.read(path) == Templates(
        no_answer="Sorry: {question}", intents={"buy": "{product}"}
    )
    path.write_text("")
    assert Templates.read(path) == Templates()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("intents: {buy: '{prise}'}", r"placeholders of intents\['buy'\] must be .*got \{prise\}"),
        ("intents: {buy: '{price:.2f}'}", r"got \{price:.2f\}"),
        ("default: '{entry.title}'", r"got \{entry.title\}"),
        ("default: '{}'", r"placeholders of default must be some of \{entry\}, .*got \{\}"),
        ("default: '{entry'", "default must have matching braces"),
        ("default: 'Ask us.'", r"default must show \{entry\}, \{title\} or both"),
        ("no_answer: '{entry}'", r"no_answer must have placeholders of \{intent\}, \{question\}"),
        ("answers: {}", "must have the keys default, no_answer, intents alone, got answers"),
        ("- a", "got list"),
        ("intents: [a]", "intents must be a mapping"),
        ("intents: {buy: 5}", r"intents\['buy'\] must be a text, got 5"),
        ("intents: {buy: '{entry}', buy: '{title}'}", "buy must come once"),
        ("default: '{entry}\n  x: [", "must be YAML"),
        ("intents: {buy: ' '}", r"intents\['buy'\] must not be blank"),
        ("intents: {yes: '{entry}'}", "labels as keys, got True; .* put the label in quotes"),
        ("default: '{entry:{title}}'", r"got \{entry:\{title\}\}"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(tmp_path, content, message):
    path = tmp_path / "templates.yaml"
    path.write_text(content)

    with pytest.raises(ValueError, match=message) as caught:
        Templates.read(path)
    assert str(path) in str(caught.value)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Folder of a shop whose classifier predicts a price, then intents."""
    (tmp_path / "classifier").mkdir()
    (tmp_path / "classifier" / "manifest.json").write_text("{}")
    targets = [
        Numbers.of("price", np.array([1.0, 2.0]), logarithm=False),
        Labels.of("intent", ["buy", "care"], ""),
    ]
    monkeypatch.setattr("answers.intents.load_targets", lambda _: targets)
    return tmp_path, targets


def test_intents_are_the_first_labels_or_the_named_ones(shop):
    root, _ = shop

    assert labels_of(root, "") == labels_of(root, "intent") == ("buy", "care")
    with pytest.raises(ValueError, match="one of intent, got 'price'"):
        labels_of(root, "price")


def test_a_classifier_of_numbers_alone_has_no_intents(shop):
    root, targets = shop
    targets.pop()

    assert labels_of(root, "") is None
    with pytest.raises(ValueError, match="one of none, got 'intent'"):
        labels_of(root, "intent")
