import numpy as np
import pytest

from backbone.load import load_bert, load_tokenizer
from classifier.artifact import Parts
from classifier.reader import Reader, ensemble

pytestmark = pytest.mark.numeric
TEXTS = ["red mug", "navy lamp", ""]


@pytest.fixture
def readers(tiny_bert):
    tokenizer, berts = load_tokenizer(str(tiny_bert)), []
    for seed in range(3):
        berts.append(load_bert(str(tiny_bert)))
        for weights in berts[-1].parameters():
            weights.data += 0.01 * seed
    alone = [Reader(berts=[bert], tokenizer=tokenizer, max_tokens=8) for bert in berts]
    return alone, Reader(berts=berts, tokenizer=tokenizer, max_tokens=8)


def parts(seed):
    rng = np.random.default_rng(seed)
    return Parts(
        targets=[],
        weights=[rng.normal(size=(5, 32)).astype(np.float32)],
        biases=[rng.normal(size=5).astype(np.float32)],
        temperatures=[1.0],
        text_columns=(),
        token_budget=8,
        max_tokens=8,
    )


def test_logits_of_an_ensemble_are_the_means_of_its_members(readers):
    alone, together = readers
    members = [parts(seed) for seed in range(3)]

    found = ensemble(members).logits(together(TEXTS), 0)

    pairs = zip(alone, members, strict=True)
    expected = np.mean([one.logits(reader(TEXTS), 0) for reader, one in pairs], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_joined_states_have_unit_length(readers):
    _, together = readers

    np.testing.assert_allclose(np.linalg.norm(together(TEXTS), axis=1), 1, atol=1e-5)


def test_an_ensemble_of_one_is_its_member():
    (weights,), (biases,) = parts(0).weights, parts(0).biases

    one = ensemble([parts(0)])

    np.testing.assert_array_equal(one.weights[0], weights)
    np.testing.assert_array_equal(one.biases[0], biases)
