import pytest

from lineage.counted import counted


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_200, "1,200 rows")]
)
def test_one_alone_is_singular(count, expected):
    assert counted(count, "row") == expected


def test_a_plural_may_be_irregular():
    assert counted(2, "query", "queries") == "2 queries"
    assert counted(1, "query", "queries") == "1 query"
