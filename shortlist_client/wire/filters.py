"""Converts filters and diversity to messages and back."""

from datetime import date, timedelta

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import EPOCH, AnyOf, Clause, Filters, Range, Value, moment
from shortlist_client.api.request import Diversity
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.build import built, needs_integer


def diversity_message(diversity: Diversity) -> pb.Diversity:
    """The message of a diversity."""
    at_most = [
        built(pb.AtMost, attribute=name, items=items) for name, items in diversity.at_most.items()
    ]
    return built(
        pb.Diversity,
        strength=diversity.strength,
        at_most=at_most,
        calibrated=diversity.calibrated,
        calibrated_by=diversity.calibrated_by,
    )


def to_diversity(message: pb.Diversity) -> Diversity:
    """The diversity of a message, before any rule is checked.

    Raises:
        InvalidRequestError: an attribute occurs twice.
    """
    at_most: dict[str, int] = {}
    for one in message.at_most:
        if one.attribute in at_most:
            raise InvalidRequestError(
                f"attribute of diversity must occur once, got {one.attribute!r} twice"
            )
        at_most[one.attribute] = one.items
    return Diversity(
        strength=message.strength,
        at_most=at_most,
        calibrated=message.calibrated,
        calibrated_by=message.calibrated_by,
    )


def filters_message(filters: Filters) -> pb.Filters:
    """The message of filters.

    Raises:
        TypeError: a value is neither keyword, number, boolean, date nor time.
    """
    return pb.Filters(
        must=map(_clause_message, filters.must),
        should=map(_clause_message, filters.should),
        must_not=map(_clause_message, filters.must_not),
    )


def to_filters(message: pb.Filters) -> Filters:
    """The filters of a message, before any rule is checked; an empty clause has no values.

    Raises:
        InvalidRequestError: a value is missing, or a time is out of range.
    """
    return Filters(
        must=tuple(map(_to_clause, message.must)),
        should=tuple(map(_to_clause, message.should)),
        must_not=tuple(map(_to_clause, message.must_not)),
    )


def read_filters(text: str) -> Filters:
    """The filters of a JSON text, in the form of the contract's `Filters`.

    Raises:
        ValueError: the text is not JSON of `Filters`.
    """
    try:
        return to_filters(json_format.Parse(text, pb.Filters()))
    except json_format.ParseError as error:
        raise ValueError(f"filters must be JSON of the contract's `Filters`: {error}") from error


def _to_clause(message: pb.Clause) -> Clause:
    if message.WhichOneof("condition") != "range":
        return AnyOf(message.attribute, tuple(map(_to_value, message.any_of.values)))
    bounds = {field.name: _to_value(value) for field, value in message.range.ListFields()}
    return Range(message.attribute, **bounds)


def _to_value(message: pb.Value) -> Value:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise InvalidRequestError("values must be keywords, numbers, booleans or times, got none")
    if kind == "time":
        try:
            micros = message.time.nanos // 1000
            return EPOCH + timedelta(seconds=message.time.seconds, microseconds=micros)
        except OverflowError as error:
            raise InvalidRequestError(
                f"times must be within the years 1 and 9999, got {message.time.seconds} s"
            ) from error
    value: Value = getattr(message, kind)
    return value


def _clause_message(clause: Clause) -> pb.Clause:
    if isinstance(clause, AnyOf):
        any_of = pb.AnyOf(values=map(_value_message, clause.values))
        return built(pb.Clause, attribute=clause.attribute, any_of=any_of)
    bounds = {name: _value_message(value) for name, value in clause.bounds.items()}
    return built(pb.Clause, attribute=clause.attribute, range=pb.Range(**bounds))


def _value_message(value: Value) -> pb.Value:
    if isinstance(value, bool):
        return pb.Value(boolean=value)
    if isinstance(value, str):
        return built(pb.Value, keyword=value)
    if isinstance(value, date):
        since = moment(value) - EPOCH
        seconds, rest = divmod(since, timedelta(seconds=1))
        return pb.Value(time=Timestamp(seconds=seconds, nanos=1000 * rest.microseconds))
    if needs_integer(value):
        return pb.Value(integer=int(value))
    return built(pb.Value, number=value)
