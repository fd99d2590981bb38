"""Converts items to messages and back."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from shortlist_client.api.checks import shown
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item
from shortlist_client.proto.recommender.v1 import catalog_pb2
from shortlist_client.wire.build import built, check_text, needs_integer, refused


def to_item(message: catalog_pb2.CatalogItem) -> Item:
    """The item of a message, before any rule is checked.

    Raises:
        InvalidRequestError: an attribute is in both fields for attributes.
    """
    attributes, integers = _fields(message.attributes), dict(message.integers)
    for name in integers:
        if name in attributes:
            raise InvalidRequestError(f"integers must not repeat an attribute, got {name!r}")
    return Item(
        item_id=message.item_id,
        title=message.title,
        texts=_fields(message.texts),
        attributes={**attributes, **integers},
    )


def item_message(item: Item) -> catalog_pb2.CatalogItem:
    """The message of an item.

    Raises:
        ValueError: a text or an attribute is not a plain JSON value, or no message can hold a
            value; names the field.
    """
    message = built(catalog_pb2.CatalogItem, item_id=item.item_id, title=item.title)
    _fill("texts", message.texts, item.texts)
    large = {n: int(v) for n, v in item.attributes.items() if needs_integer(v)}
    others = {n: v for n, v in item.attributes.items() if n not in large}
    _fill("attributes", message.attributes, others)
    check_text("attributes", large)
    message.integers.update(large)
    return message


def _fill(name: str, struct: Struct, fields: Mapping[str, Any]) -> None:
    check_text(name, fields)
    for field, value in fields.items():
        try:
            struct[field] = list(value) if isinstance(value, tuple) else value
        except (UnicodeError, OverflowError) as error:
            raise refused(f"{name}[{field!r}]", value, error) from None
        except ValueError as error:
            raise ValueError(
                f"{name}[{field!r}] must be a plain JSON value, got {shown(value)}"
            ) from error


def _fields(struct: Struct) -> dict[str, Any]:
    return {name: _plain(value) for name, value in struct.fields.items()}


def _plain(value: Value) -> Any:
    """The JSON value; whole numbers become integers, because `Struct` has only doubles."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _fields(value.struct_value)
    if kind == "list_value":
        return [_plain(one) for one in value.list_value.values]
    if kind == "number_value" and value.number_value.is_integer():
        return int(value.number_value)
    return None if kind in (None, "null_value") else getattr(value, kind)
