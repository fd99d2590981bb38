import pytest
import torch

from backbone.device import PRECISION, autocast, serving_dtype
from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer
from tests.rounding import TINY_BERT, rounding

pytestmark = pytest.mark.numeric

CPU = torch.device("cpu")


@pytest.fixture(params=["avx512_bf16", "amx_bf16", None])
def native(request, monkeypatch):
    """Whether the CPU multiplies bf16 natively."""
    flags = {"avx2": True, "avx512_bf16": False} | ({request.param: True} if request.param else {})
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: flags)
    return request.param is not None


@pytest.mark.parametrize("precision", [None, "auto"])
def test_the_hardware_decides_where_the_environment_does_not(native, precision, monkeypatch):
    monkeypatch.delenv(PRECISION, raising=False)
    if precision:
        monkeypatch.setenv(PRECISION, precision)

    assert serving_dtype(CPU) is (torch.bfloat16 if native else torch.float32)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)]
)
def test_the_environment_decides_whatever_the_hardware_is(native, precision, dtype, monkeypatch):
    monkeypatch.setenv(PRECISION, precision)

    assert serving_dtype(CPU) is serving_dtype(torch.device("cuda")) is dtype
    with autocast(CPU):
        assert (torch.eye(2) @ torch.eye(2)).dtype is dtype


@pytest.mark.parametrize("precision", ["", "BF16", "fp16"])
def test_another_precision_is_refused_by_name(precision, monkeypatch):
    monkeypatch.setenv(PRECISION, precision)

    with pytest.raises(
        ValueError, match=f"{PRECISION} must be auto, bf16 or fp32, got '{precision}'"
    ):
        serving_dtype(CPU)


def test_texts_are_read_in_the_precision_of_the_environment(tiny_bert, monkeypatch):
    def read(precision):
        monkeypatch.setenv(PRECISION, precision)
        bert, tokenizer = load_bert(str(tiny_bert)), load_tokenizer(str(tiny_bert))
        return torch.from_numpy(encode_texts(bert, ["red mug", "a lamp"], tokenizer, max_tokens=8))

    halves, whole = read("bf16"), read("fp32")

    difference = (halves - whole).abs().max()
    assert difference > rounding(whole, **TINY_BERT)
    assert difference < rounding(whole, **TINY_BERT, dtype=torch.bfloat16)
