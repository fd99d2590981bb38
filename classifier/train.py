"""The classifier stage: a trial chooses epochs and calibration, a refit learns its rows too."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.load import load_tokenizer
from backbone.training import FitResult, training_folder
from classifier.artifact import Parts, States
from classifier.calibrate import calibrated
from classifier.config import ClassifierConfig
from classifier.division import Division, divided
from classifier.fit import Encoded, encoded, finished, fit_classifier
from classifier.label_words import with_label_words
from classifier.learnt_target import target_of
from classifier.module import MONITOR
from classifier.number_form import NumberForm, NumberRows, best_form
from classifier.number_form import fitted as fitted_form
from classifier.reader import Reader, ensemble, save_classifier
from classifier.targets import Labels, Numbers
from dataset.labelled_texts import LabelledTexts
from lineage.stages import CLASSIFIER, PARAMETERS

Rows = NDArray[np.int64]
Forms = dict[int, NumberForm]
"""How each output of numbers is predicted"""


def train(
    config: ClassifierConfig,
    table: LabelledTexts,
    root: Path,
    folder: Path,
    inputs: Mapping[str, str],
) -> Mapping[str, Any]:
    """Train a classifier on a table and write it.

    Args:
        config: Options of the classifier and of its training.
        table: Texts and targets.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Folder to write to.
        inputs: Checksums of the table's files.

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: a target has no labels or only one, or a split has no rows.
    """
    division = divided(table)
    targets = [target_of(name, table, division, config) for name in config.targets]
    texts = {"train": len(division.train), "valid": len(division.valid)}
    if config.label_words:
        table, division = with_label_words(table, division, targets)
    rows = np.sort(np.concatenate([division.train, division.valid]))
    data = encoded(config, table, targets, rows, root / "training", learnt=division.train)
    identity = (asdict(config), dict(inputs))
    steps = Steps(
        config=config,
        table=table,
        division=division,
        data=data,
        tokenizer=load_tokenizer(config.backbone),
        trial_folder=training_folder(root, f"{CLASSIFIER}-trial", *identity),
        refit_folder=training_folder(root, f"{CLASSIFIER}-refit", *identity),
    )
    reader, parts, forms, facts = steps.trial()
    if config.refit:
        reader, parts = steps.refit(rows, parts, forms, epochs=facts["epochs"])
    save_classifier(folder, reader, parts)
    return {
        "texts": texts,
        "labels": {one.name: len(one.levels[-1]) for one in targets if isinstance(one, Labels)},
        **facts,
        "numbers": {str(output): asdict(form) for output, form in forms.items()},
        "temperatures": [round(value, 3) for value in parts.temperatures],
    }


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The two trainings of a classifier."""

    config: ClassifierConfig
    table: LabelledTexts
    division: Division
    data: Encoded
    tokenizer: PreTrainedTokenizerBase
    trial_folder: Path
    refit_folder: Path

    def trial(self) -> tuple[Reader, Parts, Forms, dict[str, Any]]:
        """Train on the training rows; choose epochs, forms and calibration by the others."""
        train, valid = self.division.train, self.division.valid
        reader, parts, fitted = self._fitted(train, self.trial_folder, valid=valid)
        checked, forms = reader(self._texts(valid)), Forms()
        if any(isinstance(one, Numbers) for one in parts.targets):
            learnt = reader(self._texts(train))
            forms = self._forms(parts, learnt, checked)
            parts = self._with_forms(parts, learnt, train, forms)
        classes, numbers = self.data.classes[valid], self.data.numbers[valid]
        parts = calibrated(parts, self._texts(valid), checked, classes, numbers)
        best = float(np.mean([result.best for result in fitted]))
        epochs = [result.epochs for result in fitted]
        parameters = sum(result.parameters for result in fitted)
        facts = {MONITOR: round(best, 4), "epochs": epochs, PARAMETERS: parameters}
        return reader, parts, forms, facts

    def refit(
        self, rows: Rows, trial: Parts, forms: Forms, *, epochs: Sequence[int]
    ) -> tuple[Reader, Parts]:
        """Train on all rows but the test's, with what the trial chose."""
        reader, parts, _ = self._fitted(rows, self.refit_folder, epochs=epochs)
        parts = replace(trial, weights=parts.weights, biases=parts.biases)
        if forms:
            parts = self._with_forms(parts, reader(self._texts(rows)), rows, forms)
        return reader, parts

    def _fitted(
        self,
        rows: Rows,
        folder: Path,
        *,
        valid: Rows | None = None,
        epochs: Sequence[int] = (),
    ) -> tuple[Reader, Parts, list[FitResult]]:
        """Train with each seed, for these numbers of epochs or for as long as configured."""
        berts, members, results = list[PreTrainedModel](), list[Parts](), list[FitResult]()
        for place in range(self.config.seeds):
            training = replace(self.config.training, seed=self.config.training.seed + place)
            if epochs:
                training = replace(training, max_epochs=epochs[place])
            config = replace(self.config, training=training)
            place_of = folder.with_name(f"{folder.name}-{place}") if place else folder
            module, result = fit_classifier(config, self.data, rows, place_of, valid=valid)
            bert, parts = finished(module, config, self.table)
            berts.append(bert)
            members.append(parts)
            results.append(result)
        reader = Reader(berts=berts, tokenizer=self.tokenizer, max_tokens=self.config.max_tokens)
        return reader, ensemble(members), results

    def _forms(self, parts: Parts, learnt: States, checked: States) -> Forms:
        """How validation rows prefer each output of numbers to be predicted.

        `learnt` and `checked` are the states of the training and the validation rows.
        """
        of_numbers = [parts.outputs(one)[0] for one in parts.targets if isinstance(one, Numbers)]
        return {
            output: best_form(
                self._rows(self.division.train, learnt, output),
                self._rows(self.division.valid, checked, output),
                parts.logits(checked, output)[:, 0].astype(np.float64),
                self.config.training.seed,
            )
            for output in of_numbers
        }

    def _with_forms(self, parts: Parts, states: States, rows: Rows, forms: Forms) -> Parts:
        """The parts with kernels and words of these forms, fitted on rows with these states."""
        seed = self.config.training.seed
        made = {
            output: fitted_form(form, self._rows(rows, states, output), seed)
            for output, form in forms.items()
        }
        return replace(
            parts,
            kernels={output: kernel for output, (kernel, _) in made.items() if kernel},
            lexicals={output: lexical for output, (_, lexical) in made.items() if lexical},
        )

    def _rows(self, rows: Rows, states: States, output: int) -> NumberRows:
        return NumberRows(
            texts=self._texts(rows), states=states, numbers=self.data.numbers[rows, output]
        )

    def _texts(self, rows: Rows) -> list[str]:
        return [self.table.texts[row] for row in rows.tolist()]
