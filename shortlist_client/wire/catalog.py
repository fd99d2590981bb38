"""Converts items to messages and back."""

from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from shortlist_client.api.item import Item
from shortlist_client.proto.recommender.v1 import catalog_pb2


def to_item(message: catalog_pb2.CatalogItem) -> Item:
    """The item of a message, before any rule is checked."""
    return Item(
        item_id=message.item_id,
        title=message.title,
        texts=_fields(message.texts),
        attributes=_fields(message.attributes),
    )


def item_message(item: Item) -> catalog_pb2.CatalogItem:
    """The message of an item.

    Raises:
        ValueError: a text or an attribute is not a plain JSON value.
    """
    message = catalog_pb2.CatalogItem(item_id=item.item_id, title=item.title)
    for struct, fields in ((message.texts, item.texts), (message.attributes, item.attributes)):
        _fill(struct, fields)
    return message


def _fill(struct: Struct, fields: Any) -> None:
    struct.update({n: list(v) if isinstance(v, tuple) else v for n, v in fields.items()})


def _fields(struct: Struct) -> dict[str, Any]:
    return {name: _plain(value) for name, value in struct.fields.items()}


def _plain(value: Value) -> Any:
    """The JSON value; whole numbers become integers, because messages have only doubles."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _fields(value.struct_value)
    if kind == "list_value":
        return [_plain(one) for one in value.list_value.values]
    if kind == "number_value" and value.number_value.is_integer():
        return int(value.number_value)
    return None if kind in (None, "null_value") else getattr(value, kind)
