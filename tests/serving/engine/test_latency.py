from serving.engine.latency import LatencyEstimator


def test_before_any_measurement_the_estimate_is_zero():
    assert LatencyEstimator().estimate(100) == 0


def test_the_estimate_uses_measurements_of_similar_size():
    estimator = LatencyEstimator()
    for seconds in (0.5, 0.02, 0.03, 0.02, 0.02):  # the first was cold
        estimator.record(100, seconds)
    estimator.record(2_000, 0.2)

    assert estimator.estimate(120) == 0.03
    assert estimator.estimate(1_500) == 0.2


def test_clearing_forgets_all_measurements():
    estimator = LatencyEstimator()
    estimator.record(100, 9.0)
    estimator.clear()

    assert estimator.estimate(100) == 0


def test_beyond_the_largest_measured_size_the_estimate_is_proportional():
    estimator = LatencyEstimator()
    estimator.record(100, 0.01)

    assert estimator.estimate(400) == 0.04
    assert estimator.estimate(1) == 0.01


def test_old_measurements_are_forgotten():
    estimator = LatencyEstimator()
    for _ in range(100):
        estimator.record(8, 9.0)
    for _ in range(16):
        estimator.record(8, 0.1)

    assert estimator.estimate(8) == 0.1
