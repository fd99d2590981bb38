"""The stage from a FAQ's files to answers, with a tiny BERT."""

import json

import numpy as np
import polars as pl
import pytest

from answers.__main__ import answer, main
from answers.artifact import Answers
from answers.borrowed import CONFIDENCE, borrowed
from answers.config import AnswersConfig
from answers.questions import answer_texts
from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.faq import questions_without_entry
from dataset.prepare.sources import open_source
from lineage.manifest import MissingArtifactError, read_manifest
from tests.faq_stages import write_faq


@pytest.fixture
def make(faq, tmp_path):
    """Makes the stage into the test's folder."""

    def make(files=faq / "files", **options):
        outputs = (tmp_path / "shop", tmp_path / "reports")
        answer(AnswersConfig(**options), files, faq / "stages", outputs, "the command")

    return make


def test_the_best_entry_of_a_question_is_the_one_with_its_words(answering_stages):
    answers = Answers.load(answering_stages / "answers")

    red, nothing = answers.best(["a red mug", "b b"])

    assert (red.title, red.text) == ("red mug", "The mug is red.")
    assert red.entry_id == "e1"
    assert red.probability >= answers.rules.threshold > nothing.probability


def test_questions_are_answered_alike_in_any_company(answering_stages):
    answers = Answers.load(answering_stages / "answers")
    questions = ["a red mug", "b b", "navy bag"]

    together, alone = answers.best(questions), [answers.best([one])[0] for one in questions]

    assert [one.entry_id for one in together] == [one.entry_id for one in alone]
    assert [one.probability for one in together] == pytest.approx(
        [one.probability for one in alone], abs=1e-4
    )


def test_the_report_has_figures_of_every_kind_of_question(answering_stages):
    report = json.loads((answering_stages / "reports" / "answers.json").read_text())

    labelled, left_out, unlabelled = report["mixtures"]
    assert report["accuracy@1"] > 0.8
    assert report["ndcg@10"] > 0.8
    assert labelled["unanswerable"] == 0
    assert left_out["unanswerable"] == 26  # 30 of 100, with 60 that are answerable
    assert unlabelled["unanswerable"] == 2  # all there are
    assert unlabelled["false_answers"] == 0
    assert labelled["curve"][0]["coverage"] == 1
    assert "answered from" in (answering_stages / "reports" / "answers.html").read_text()


def test_the_stage_names_what_it_was_made_from(faq, answering_stages):
    manifest = read_manifest(answering_stages / "answers", "answers")

    towers = read_manifest(faq / "stages" / "towers", "towers")
    assert manifest.inputs["towers"] == towers.fingerprint
    assert "templates.yaml" in manifest.inputs
    assert manifest.facts["questions"] == {"valid": 60, "valid without entry": 1}


def test_an_unreachable_precision_is_refused_with_the_remedy(make, monkeypatch):
    monkeypatch.setattr("answers.train.least", lambda _: 20)

    with pytest.raises(ValueError, match=r"precision must be reachable .* label more questions"):
        make(precision=0.999)


def test_a_column_that_no_entry_has_is_refused(make):
    with pytest.raises(ValueError, match="answer must be a column of the entries, one of desc"):
        make(answer="reply")


@pytest.fixture
def unlearnt(tmp_path, tiny_bert):
    """Makes the stage of a FAQ that teaches nothing, after its data stage alone."""

    def unlearnt(files, **options):
        stages, outputs = tmp_path / "faq", (tmp_path / "shop", tmp_path / "reports")
        build(DataConfig(), open_source(str(files)), stages / "data")
        config = AnswersConfig(backbone=str(tiny_bert), **options)
        answer(config, files, stages, outputs, "the command")
        report = json.loads((tmp_path / "reports" / "answers.json").read_text())
        return Answers.load(tmp_path / "shop" / "answers"), report

    return unlearnt


@pytest.mark.parametrize("lacking", [("labels",), ("labels", "queries")])
def test_a_faq_without_labelled_questions_answers_cautiously_and_says_so(
    unlearnt, tmp_path, lacking
):
    files = write_faq(tmp_path / "files")
    for name in lacking:
        (files / f"{name}.parquet").unlink()

    answers, report = unlearnt(files)

    (same,) = answers.best(["red mug"])
    assert (same.title, same.text) == ("red mug", "The mug is red.")
    assert answers.rules.threshold == 0.9 == report["threshold"]
    too_few, unmeasured = report["notes"]
    assert too_few.startswith(
        "0 different validation questions have an entry, and at least 25 must"
    )
    assert unmeasured == "no test question has an entry, so nothing is measured"
    assert "Note: 0 different" in (tmp_path / "reports" / "answers.html").read_text()


def test_few_labelled_questions_measure_what_they_cannot_teach(unlearnt, tmp_path):
    files = write_faq(tmp_path / "files")
    labels = pl.read_parquet(files / "labels.parquet")
    labels.head(24).write_parquet(files / "labels.parquet")  # of 6 entries, 6 of them in valid

    _, report = unlearnt(files)

    assert report["questions"] == 6
    assert report["notes"][0].startswith("6 different validation questions")
    assert len(report["notes"]) == 1


def test_a_faq_of_one_entry_does_not_answer_everything(unlearnt, tmp_path):
    """It has questions enough, but none that shows a wrong answer."""
    files, questions = tmp_path / "files", [f"a red mug {place}" for place in range(90)]
    files.mkdir()
    pl.DataFrame({"entry_id": ["e"], "title": ["red mug"]}).write_parquet(files / "entries.parquet")
    ids, splits = [str(place) for place in range(90)], ["train", "valid", "test"] * 30
    queries = pl.DataFrame({"query_id": ids, "query": questions, "split": splits})
    queries.write_parquet(files / "queries.parquet")
    labels = pl.DataFrame({"query_id": ids, "entry_id": ["e"] * 90})
    labels.write_parquet(files / "labels.parquet")

    answers, report = unlearnt(files)

    same, other = answers.best(["red mug", "a a"])
    assert same.probability > other.probability
    assert answers.rules.confidence == CONFIDENCE
    assert "of entries with different titles" in report["notes"][0]


def test_the_same_question_asked_often_is_one_question(unlearnt, tmp_path):
    files = write_faq(tmp_path / "files")
    queries = pl.read_parquet(files / "queries.parquet")
    same = pl.when(pl.col("split") == "valid").then(pl.lit("A red  mug")).otherwise("query")
    queries.with_columns(query=same).write_parquet(files / "queries.parquet")

    _, report = unlearnt(files)

    assert report["notes"][0].startswith("1 different validation questions")


def test_another_share_of_unanswerable_questions_moves_borrowed_probabilities():
    usual, rare = (borrowed(AnswersConfig(unanswerable=share))[0] for share in (0.3, 0.1))
    values = np.array([[0.6, 0.5, 0.2]])

    odds = [found(values) / (1 - found(values)) for found in (usual, rare)]

    np.testing.assert_allclose(odds[1] / odds[0], (0.9 / 0.1) / (0.7 / 0.3))


def test_missing_stages_of_the_faq_are_named(faq, tmp_path):
    with pytest.raises(MissingArtifactError, match="make data"):
        answer(AnswersConfig(), faq / "files", tmp_path, (tmp_path, tmp_path), "")


def test_entries_may_be_called_items(faq, tmp_path):
    files = write_faq(tmp_path / "files", names=("items", "item_id"))
    build(DataConfig(), open_source(str(files)), tmp_path / "data")

    ours, theirs = load_dataset(tmp_path / "data"), load_dataset(faq / "stages" / "data")
    assert sorted(ours.item_ids) == sorted(theirs.item_ids)
    assert answer_texts(tmp_path, ours, "")[0].startswith("The ")


def test_templates_of_unknown_intents_are_refused(make, tmp_path, monkeypatch):
    monkeypatch.setattr("answers.intents.labels_of", lambda root, column: ("buy", "care"))
    path = tmp_path / "templates.yaml"
    path.write_text("intents: {refund: '{entry}'}")

    with pytest.raises(ValueError, match=r"labels of the classifier \(buy, care\), got refund"):
        make(templates=str(path))


def test_a_stage_answers_on_the_command_line(answering_stages, capsys):
    main(["ask", "--model", str(answering_stages / "answers"), "a red mug", "b b"])

    printed = capsys.readouterr().out
    assert "The mug is red." in printed
    assert "no answer: Nobody knows b b." in printed


def test_a_blank_question_is_refused_on_the_command_line(answering_stages, capsys):
    with pytest.raises(SystemExit):
        main(["ask", "--model", str(answering_stages / "answers"), "a red mug", ""])

    assert "questions must not be blank" in capsys.readouterr().err


def test_blank_questions_without_a_label_do_not_count(tmp_path):
    files = write_faq(tmp_path / "files")
    queries = pl.read_parquet(files / "queries.parquet")
    blank = pl.when(pl.col("query_id") == "x2").then(pl.lit(""))
    blank = blank.when(pl.col("query_id") == "x1").then(pl.lit(" ")).otherwise("query")
    queries.with_columns(query=blank).write_parquet(files / "queries.parquet")

    found = questions_without_entry(files, DataConfig())

    assert found == {"train": [], "valid": [], "test": ["b b"]}
