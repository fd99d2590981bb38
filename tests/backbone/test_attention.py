import pytest
import torch
from torch.nn import functional

from backbone.attention import SHORT, short_text_attention
from backbone.load import load_bert
from tests.rounding import TINY_BERT, rounding

pytestmark = pytest.mark.numeric

TERMS = 8 + 7
"""Of a logit, then of a mean over tokens."""


@pytest.fixture
def qkv():
    torch.manual_seed(0)
    return [torch.randn(5, 4, 7, 8) for _ in range(3)]


@pytest.mark.parametrize("kind", ["none", "bool", "added"])
def test_short_text_attention_equals_scaled_dot_product_attention(qkv, kind):
    seen = (torch.arange(7) < torch.tensor([7, 1, 3, 5, 2])[:, None])[:, None, None, :]
    added = torch.zeros(seen.shape).masked_fill(~seen, -1e4)
    mask = {"none": None, "bool": seen, "added": added}[kind]

    attended, _ = short_text_attention(torch.nn.Identity(), *qkv, mask)

    expected = functional.scaled_dot_product_attention(*qkv, mask).transpose(1, 2)
    torch.testing.assert_close(attended, expected, atol=rounding(expected, terms=TERMS), rtol=0)


@pytest.mark.parametrize("size", [1.0, 40.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_logits_do_not_overflow(qkv, size, dtype):
    query, key, value = (part.to(dtype) for part in qkv)

    attended, _ = short_text_attention(torch.nn.Identity(), size * query, key, value, None)

    exact = functional.scaled_dot_product_attention(
        size * query.double(), key.double(), value.double()
    ).transpose(1, 2)
    # The mean alone is bounded: if logits are large, a rounded one may choose another token.
    tolerance = rounding(exact, terms=TERMS, stored=1, dtype=dtype)
    assert (attended.double() - exact).abs().mean() < tolerance


def test_a_given_scale_is_used(qkv):
    attended, _ = short_text_attention(torch.nn.Identity(), *qkv, None, scaling=0.7)

    expected = functional.scaled_dot_product_attention(*qkv, scale=0.7).transpose(1, 2)
    tolerance = 2 * rounding(expected, terms=TERMS)  # logits are twice as large as usual
    torch.testing.assert_close(attended, expected, atol=tolerance, rtol=0)


def test_short_texts_have_the_same_states_in_both_forms_of_attention(tiny_bert):
    bert = load_bert(str(tiny_bert))
    short = torch.randint(5, 20, (3, SHORT))
    padded = functional.pad(short, (0, 1))
    mask = functional.pad(torch.ones_like(short), (0, 1))

    with torch.inference_mode():
        alone = bert(input_ids=short, attention_mask=torch.ones_like(short)).last_hidden_state
        padded_states = bert(input_ids=padded, attention_mask=mask).last_hidden_state

    tolerance = rounding(alone, **TINY_BERT)
    torch.testing.assert_close(alone, padded_states[:, :SHORT], atol=tolerance, rtol=0)


def test_a_loaded_backbone_uses_short_text_attention(tiny_bert):
    assert load_bert(str(tiny_bert)).config._attn_implementation == "short_texts"
