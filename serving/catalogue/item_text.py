"""Renders an item's text exactly as the data stage does."""

from pathlib import Path

from dataset.config import DataConfig
from dataset.item_text import Field, fields_of_text, item_text
from lineage.manifest import read_manifest
from lineage.stages import DATA
from shortlist_client.api.item import Item


def text_of(item: Item, config: DataConfig) -> str:
    """Text of an item for the item tower, equal to the data stage's rendering."""
    return item_text(fields_of(item, config), config)


def fields_of(item: Item, config: DataConfig) -> dict[str, Field]:
    """Fields that an item's text is rendered from, by name."""
    return fields_of_text(item.title, item.texts, item.attributes, config)


def data_config(root: Path) -> DataConfig:
    """Configuration with which the data stage of a release rendered its texts."""
    config = read_manifest(root / DATA, DATA).config
    named = {name: config[name] for name in ("fields", "token_budget") if name in config}
    if "fields" in named:
        named["fields"] = tuple(named["fields"])
    return DataConfig(**named)
