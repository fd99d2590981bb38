"""Graph of the stages: the inputs, the main files and the command of each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

TRIAL_FOLDER = "trial"
"""Folder of the stages that are trained on the training split only."""
LAST_FOLDER = "last"
"""Folder of the stages that learn everything, the test split too, to be published."""
DATA, TOWERS, INDEX, RANKER = "data", "towers", "index", "ranker"
TRIAL_TOWERS, TRIAL_INDEX = f"{TRIAL_FOLDER}/towers", f"{TRIAL_FOLDER}/index"
SHORTLISTS = f"{TRIAL_FOLDER}/shortlists"
LAST_TOWERS, LAST_INDEX = f"{LAST_FOLDER}/towers", f"{LAST_FOLDER}/index"
CLASSIFIER, ANSWERS, GENERATIVE = "classifier", "answers", "generative"

PARAMETERS = "trained parameters"
"""Name of a trained stage's fact: number of parameters that were trained."""
EMBEDDINGS = "item_embeddings.npy"
"""Item embeddings, (items, dimension)."""
LENGTHS = "item_lengths.npy"
"""Lengths of the item embeddings before normalisation, (items,)."""
USER_EMBEDDINGS = "user_embeddings.npy"
"""Embeddings of sampled users, the queries that an index is tuned on, (users, dimension)."""
WEIGHING_CASES = "weighing_cases.npy"
"""Places of the validation cases that weigh the recall sources, in the order of the trial's
`USER_EMBEDDINGS`."""
SEARCH_EMBEDDINGS = "search_embeddings.npy"
"""Embeddings of the searches that weigh words beside the towers, see `dataset.searching_cases`."""
ITEM_STATES = "item_states.npy"
"""Hidden states of the items' texts, which the ranker attends to."""
FAISS_INDEX = "index.faiss"
"""The index over the item embeddings, if FAISS searches it."""
NEIGHBOURS = "neighbours"
"""File name prefix of the items' neighbour lists."""
DISTILLED = "distilled"
BACKBONE = "backbone"
"""Folder of a backbone: weights, configuration, tokenizer. In a stage, it encodes the texts of new
items; beside the stages, it is the pre-trained one."""
FORMAT = 8
"""Format version of the stages whose files have not changed since."""
FIGURES = (
    "figures are of the fit that has not seen the test; "
    "a release of the last fit has learnt the test split too"
)
"""Which figures belong to which fit, for reports and logs."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step from raw data to a release."""

    path: str
    """Folder of the stage, relative to the dataset's folder; identifies the stage."""
    about: str
    """Description in one line."""
    module: str
    """Module that makes the stage, for `python -m`."""
    target: str
    """Target of `make` that makes the stage."""
    needs: tuple[str, ...]
    """Paths of the input stages."""
    writes: tuple[str, ...]
    """Names of the main files."""
    private: tuple[str, ...] = ()
    """Beginnings of the names of files that no release gets."""
    served: bool = True
    """Whether a server reads more than the stage's manifest."""
    format: int = FORMAT
    """Format version; raise it whenever the stage writes other files than before."""
    reads_from: int = FORMAT
    """Oldest format version that can still be read."""


EVALUATED: Mapping[str, Stage] = {
    stage.path: stage
    for stage in (
        Stage(
            path=DATA,
            about="Check, clean, split and render a dataset.",
            module="dataset",
            target="data",
            needs=(),
            writes=("items.npy", "times.npy", "texts.utf8.npy"),
            format=13,  # 12 has no columns of users; 11 no searches; 10 actions of training alone
            reads_from=10,
            private=("users/",),
        ),
        Stage(
            path=TRIAL_TOWERS,
            about="Train both towers on the training split and choose the number of epochs.",
            module="towers.trial",
            target="trial",
            needs=(DATA,),
            writes=(EMBEDDINGS, USER_EMBEDDINGS, WEIGHING_CASES),
            served=False,
            format=10,  # 9 has no embeddings of searches
            reads_from=10,
        ),
        Stage(
            path=TRIAL_INDEX,
            about="Build the trial's recall sources and choose how they are merged.",
            module="index.trial",
            target="trial",
            needs=(DATA, TRIAL_TOWERS),
            writes=(FAISS_INDEX, f"{NEIGHBOURS}.rows.npy"),
            served=False,
            format=14,  # 13 does not say whether nothing but searches is logged
            reads_from=14,
        ),
        Stage(
            path=SHORTLISTS,
            about="Recall shortlists of purchases that the trial's towers have not seen.",
            module="retrieval",
            target="trial",
            needs=(DATA, TRIAL_TOWERS, TRIAL_INDEX),
            writes=("rows.npy", "scores.npy"),
            served=False,
            format=9,  # 8 names users by row, and does not divide those whom the ranker is tuned on
            reads_from=9,
        ),
        Stage(
            path=TOWERS,
            about="Train both towers on everything before the test and embed every item.",
            module="towers",
            target="towers",
            needs=(DATA, TRIAL_TOWERS),
            writes=(EMBEDDINGS, LENGTHS, USER_EMBEDDINGS),
            format=10,  # as the trial's towers, which are read by the same name
        ),
        Stage(
            path=INDEX,
            about="Build the index over the item embeddings, and the items' neighbour lists.",
            module="index",
            target="index",
            needs=(DATA, TOWERS, TRIAL_INDEX),
            writes=(FAISS_INDEX, f"{NEIGHBOURS}.rows.npy"),
            format=14,  # 13 does not say whether nothing but searches is logged, 12 has no words
            reads_from=12,
        ),
        Stage(
            path=RANKER,
            about="Train the ranker on the shortlists.",
            module="ranker",
            target="ranker",
            needs=(DATA, TRIAL_TOWERS, SHORTLISTS),
            writes=(ITEM_STATES, "model/model.safetensors", f"{BACKBONE}/model.safetensors"),
            format=11,  # 10 has no calibration, 9 no blends of profiles
            reads_from=8,
        ),
    )
}
"""Stages of the pipeline by path; none of them learns from the test split."""
LAST: Mapping[str, Stage] = {
    LAST_TOWERS: replace(
        EVALUATED[TOWERS],
        path=LAST_TOWERS,
        about="Train both towers again on everything, the test split too, to be published.",
        module="towers.last",
        target="last",
        needs=(DATA, TRIAL_TOWERS, TOWERS),
    ),
    LAST_INDEX: replace(
        EVALUATED[INDEX],
        path=LAST_INDEX,
        about="Build the index and the neighbour lists again from everything, to be published.",
        module="index.last",
        target="last",
        needs=(DATA, LAST_TOWERS, TRIAL_INDEX, INDEX),
    ),
}
"""Stages of the last fit by path. They repeat the options of `TOWERS` and `INDEX`, and a release
holds them in the places of these."""
STAGES: Mapping[str, Stage] = {**EVALUATED, **LAST}
"""Every stage of a release by its path; each follows its inputs."""
BESIDE: Mapping[str, Stage] = {
    BACKBONE: Stage(
        path=BACKBONE,
        about="Pre-train a backbone on a shop's texts and on what was bought together.",
        module="pretraining",
        target="pretrain",
        needs=(),
        writes=("model.safetensors", "config.json", "tokenizer.json"),
        served=False,
        format=1,
        reads_from=1,
    ),
    DISTILLED: Stage(
        path=DISTILLED,
        about="Teach a backbone of fewer layers the states that another one gives to texts.",
        module="pretraining.distil",
        target="distil",
        needs=(),
        writes=("model.safetensors", "config.json", "tokenizer.json"),
        served=False,
        format=1,
        reads_from=1,
    ),
    CLASSIFIER: Stage(
        path=CLASSIFIER,
        about="Train a classifier of texts on a table with labels or numbers.",
        module="classifier",
        target="classify",
        needs=(),
        writes=("heads.safetensors", "classifier.json", f"{BACKBONE}/model.safetensors"),
        format=2,
        reads_from=1,
    ),
    ANSWERS: Stage(
        path=ANSWERS,
        about="Learn when an entry of a FAQ answers a question.",
        module="answers",
        target="answers",
        needs=(),
        writes=("answers.json", f"{TOWERS}/{EMBEDDINGS}", "entry_texts.utf8.npy"),
        format=2,  # 1 always has a user tower
        reads_from=1,
    ),
    GENERATIVE: Stage(
        path=GENERATIVE,
        about="Learn semantic ids, and train a decoder that generates the next item.",
        module="generative",
        target="generative",
        needs=(DATA, TRIAL_TOWERS, TRIAL_INDEX),
        writes=("decoder.safetensors", "codes.npy"),
        format=1,
        reads_from=1,
    ),
}
"""Optional stages by path; a release holds those that are there."""


def stage_named(name: str) -> Stage:
    """The stage of a path, or the first whose path ends with a name.

    Raises:
        KeyError: there is none.
    """
    if name in STAGES:
        return STAGES[name]
    if name in BESIDE:
        return BESIDE[name]
    return {PurePath(stage.path).name: stage for stage in reversed(list(STAGES.values()))}[name]


def served_as(path: str) -> str:
    """Folder of a stage in a release: `towers` for `last/towers`, else the stage's path."""
    return path.removeprefix(f"{LAST_FOLDER}/")


def with_inputs(path: str) -> tuple[str, ...]:
    """Paths of a stage and of all its direct and indirect inputs, in the order of `STAGES`."""
    needed = {path}
    for stage in reversed(list(STAGES.values())):
        if stage.path in needed:
            needed.update(stage.needs)
    return tuple(known for known in STAGES if known in needed)


CASCADE = tuple(EVALUATED)
"""All stages of the pipeline, which are evaluated together."""
RETRIEVAL = with_inputs(INDEX)
"""Stages that recall a shortlist."""
TRIAL = with_inputs(TRIAL_INDEX)
"""Stages that recall the shortlists that the ranker is trained on."""
NOT_SERVED = frozenset(
    stage.path for stage in (*STAGES.values(), *BESIDE.values()) if not stage.served
)
"""Stages whose manifest alone is published; it proves that the other stages fit."""
