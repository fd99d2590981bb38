from serving.engine.latency import Pace


def test_nothing_seen_is_expected_to_take_no_time():
    assert Pace().expected(100) == 0


def test_what_is_expected_is_what_was_seen_of_about_that_size():
    pace = Pace()
    for seconds in (0.5, 0.02, 0.03, 0.02, 0.02):  # the first was cold
        pace.book(100, seconds)
    pace.book(2_000, 0.2)

    assert pace.expected(120) == 0.03
    assert pace.expected(1_500) == 0.2


def test_what_is_forgotten_is_not_expected():
    pace = Pace()
    pace.book(100, 9.0)
    pace.forget()

    assert pace.expected(100) == 0


def test_larger_work_than_was_seen_is_expected_to_take_in_proportion():
    pace = Pace()
    pace.book(100, 0.01)

    assert pace.expected(400) == 0.04
    assert pace.expected(1) == 0.01


def test_what_was_long_ago_is_forgotten():
    pace = Pace()
    for _ in range(100):
        pace.book(8, 9.0)
    for _ in range(16):
        pace.book(8, 0.1)

    assert pace.expected(8) == 0.1
