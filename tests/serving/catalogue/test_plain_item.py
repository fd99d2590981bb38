from serving.catalogue.plain_item import plain_item
from shortlist_client.api.item import Item


def test_every_text_of_an_item_loses_its_html():
    item = Item(
        item_id="<b>a</b>",
        title="Tom &amp; Jerry",
        texts={"description": "<p>Red</p>", "tags": ["a &lt; b", "c"]},
        attributes={"brand": "<i>Acme</i>", "price": 1.5, "new": True},
    )

    assert plain_item(item) == Item(
        item_id="<b>a</b>",
        title="Tom & Jerry",
        texts={"description": "Red", "tags": ["a < b", "c"]},
        attributes={"brand": "Acme", "price": 1.5, "new": True},
    )


def test_an_item_without_html_stays_the_same_object():
    item = Item(item_id="a", title="Lamp", texts={"tags": ["x"]})

    assert plain_item(item) is item
