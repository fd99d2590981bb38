import threading

import numpy as np

from dataset.append_only import BLOCK, AppendOnlyArray, ExtendedArray


def rows(start, count):
    return np.arange(start, start + count, dtype=np.float32)[:, None] * np.ones(3, np.float32)


def test_rows_added_in_pieces_equal_one_array():
    grown, whole, rng = AppendOnlyArray((3,), np.float32), rows(0, 0), np.random.default_rng(0)
    for size in rng.integers(0, 2 * BLOCK, 9).tolist():
        piece = rows(len(whole), size)
        grown, whole = grown.appended(piece), np.concatenate([whole, piece])

        asked = rng.integers(0, max(len(whole), 1), (4, 5)) if len(whole) else np.empty(0, int)
        np.testing.assert_array_equal(grown[asked], whole[asked])
        assert grown.shape == whole.shape
        for start, block in grown.blocks():
            np.testing.assert_array_equal(block, whole[start : start + BLOCK])


def test_earlier_versions_do_not_change_while_rows_are_added():
    grown = AppendOnlyArray((3,), np.float32).appended(rows(0, 10))
    newest = [grown]

    def add():
        for start in range(10, 5 * BLOCK, 7):
            newest[0] = newest[0].appended(rows(start, 7))

    writer = threading.Thread(target=add)
    writer.start()
    while writer.is_alive():
        seen = newest[0]
        np.testing.assert_array_equal(seen[np.arange(len(seen))], rows(0, len(seen)))
        np.testing.assert_array_equal(grown[np.arange(10)], rows(0, 10))
    writer.join()
    assert len(grown) == 10


def test_an_extended_array_reads_as_one_array():
    both = ExtendedArray(
        base=rows(0, 5), added=AppendOnlyArray((3,), np.float32).appended(rows(5, 4))
    )

    asked = np.array([[8, 0], [4, 5]])
    np.testing.assert_array_equal(both[asked], rows(0, 9)[asked])
    np.testing.assert_array_equal(np.array(both), rows(0, 9))
    assert both.shape == (9, 3)
