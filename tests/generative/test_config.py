import pytest

from generative.config import GenerativeConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 0}, "levels must be at least 1, got 0"),
        ({"codes": 1}, "codes must be at least 2, got 1"),
        ({"width": 30}, "width must be a multiple of the 4 heads, got 30"),
        ({"batch_size": 50}, "batch_size must be above the history_length of 50, got 50"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive, got nan"),
        ({"weight": -1.0}, "weight must be 0 or above and finite, got -1.0"),
        ({"weight": float("nan")}, "weight must be 0 or above and finite, got nan"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"heads": 0}, "heads must be at least 1, got 0"),
    ],
)
def test_options_that_make_no_decoder_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        GenerativeConfig(**options)
