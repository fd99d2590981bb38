import pytest

from serving.server.access.budgets import MOST_USERS, Budgets, ClientBudgets, UserBudgets
from serving.server.access.client import CLIENT, Client
from serving.server.access.errors import TooManyRequestsError


class Clock:
    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def client(name="shop", **fields):
    return Client(name=name, roles=frozenset(), **fields)


@pytest.fixture
def current():
    """Function that makes a client that of the current call."""
    token = CLIENT.set(None)
    yield CLIENT.set
    CLIENT.reset(token)


def granted(budgets, who, rows, *, prepaid=0):
    try:
        budgets.charge(who, rows, prepaid=prepaid)
    except TooManyRequestsError as error:
        return error.retry_seconds
    return True


def test_a_client_has_its_rows_a_second(clock):
    budgets, slow = ClientBudgets(clock), client(per_second=3)

    assert [granted(budgets, slow, 1) for _ in range(3)] == [True] * 3
    assert granted(budgets, slow, 1) == pytest.approx(1 / 3)
    clock.now += 1 / 3
    assert granted(budgets, slow, 1) is True


def test_clients_do_not_share_a_budget_and_a_client_without_one_has_no_limit(clock):
    budgets = ClientBudgets(clock)
    budgets.charge(client(per_second=1), 1)

    assert granted(budgets, client("other", per_second=1), 1) is True
    assert all(granted(budgets, client("free"), 1_000) is True for _ in range(50))


def test_a_message_larger_than_the_budget_passes_and_is_paid_back(clock):
    budgets, slow = ClientBudgets(clock), client(per_second=10)

    assert granted(budgets, slow, 1_000) is True
    assert granted(budgets, slow, 1) == pytest.approx(99.1)
    clock.now += 99
    assert granted(budgets, slow, 1) == pytest.approx(0.1)
    clock.now += 0.1
    assert granted(budgets, slow, 1) is True


def test_the_first_message_of_a_call_passes_with_the_call_itself(clock):
    budgets, slow = ClientBudgets(clock), client(per_second=1)

    budgets.charge(slow, 1)

    assert granted(budgets, slow, 5, prepaid=1) is True
    assert granted(budgets, slow, 1) == pytest.approx(5)


def test_of_calls_that_begin_together_only_one_takes_more_than_the_budget(clock):
    budgets, slow = ClientBudgets(clock), client(per_second=10)
    for _ in range(10):
        budgets.charge(slow, 1)

    first_messages = [granted(budgets, slow, 1_000, prepaid=1) for _ in range(10)]

    assert first_messages[0] is True
    assert all(wait > 90 for wait in first_messages[1:])


@pytest.mark.parametrize("rows", [1, 7, 1_000])
def test_in_the_long_run_no_message_size_beats_the_rate(clock, rows):
    budgets, slow, taken, start = ClientBudgets(clock), client(per_second=50), 0, clock.now
    while clock.now < start + 200:
        while granted(budgets, slow, rows) is True:
            taken += rows
        clock.now += 0.05

    assert 50 * 199 <= taken <= 50 * 201 + rows


def test_a_user_has_its_events_a_day_from_each_client(clock, current):
    budgets = UserBudgets(clock)
    current(client(user_events_per_day=2))
    assert [budgets.broken_rule("u") for _ in range(2)] == [None, None]
    assert "at most 2 a day" in budgets.broken_rule("u")
    assert budgets.broken_rule("other") is None

    current(client("app", user_events_per_day=2))
    assert budgets.broken_rule("u") is None

    current(client(user_events_per_day=2))
    clock.now += 43_200
    assert budgets.broken_rule("u") is None
    assert budgets.broken_rule("u") is not None


def test_an_event_that_is_given_back_does_not_count(clock, current):
    budgets = UserBudgets(clock)
    current(client(user_events_per_day=1))
    assert budgets.broken_rule("u") is None

    budgets.give_back("u")

    assert budgets.broken_rule("u") is None
    assert budgets.broken_rule("u") is not None


def test_without_a_limit_or_a_client_events_are_not_counted(clock, current):
    budgets = UserBudgets(clock)
    for who in (None, client()):
        current(who)
        assert [budgets.broken_rule("u") for _ in range(1_000)] == [None] * 1_000


def test_the_memory_of_users_is_bounded(clock):
    budgets = Budgets(most=3, clock=clock)
    for user in "abcd":
        budgets.take(user, 1, 1, 86_400.0)

    assert budgets.take("d", 1, 1, 86_400.0) > 0
    assert budgets.take("a", 1, 1, 86_400.0) == 0
    assert len(budgets._debts) == 3
    assert MOST_USERS <= 100_000
