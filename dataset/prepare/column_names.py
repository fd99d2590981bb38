"""Names of a shop's columns: the configured mapping, and suggestions for missing ones."""

import difflib
import re
from collections.abc import Iterable, Mapping

import polars as pl

from dataset.prepare.schema import ACTION, BASKET, ITEM, TIMESTAMP, TITLE, USER

KNOWN: Mapping[str, tuple[str, ...]] = {
    ITEM: (
        *(
            "asin",
            "parentasin",
            "sku",
            "item",
            "id",
            "productid",
            "product",
            "articleid",
            "article",
        ),
        *(
            "variantid",
            "goodsid",
            "movieid",
            "bookid",
            "iid",
            "stockcode",
            "productcode",
            "itemcode",
        ),
    ),
    USER: (
        *("customerid", "customer", "user", "uid", "visitorid", "clientid", "accountid"),
        *("reviewerid", "memberid", "shopperid", "buyerid", "personid", "sessionid"),
    ),
    TITLE: ("name", "productname", "producttitle", "itemname", "itemtitle", "label", "description"),
    TIMESTAMP: (
        *("time", "ts", "date", "datetime", "eventtime", "createdat", "unixtime", "orderdate"),
        *("unixreviewtime", "invoicedate", "purchasedate", "occurredat"),
    ),
    BASKET: (
        *("basketid", "invoice", "invoiceno", "invoiceid", "invoicenumber", "orderid", "orderno"),
        *("ordernumber", "transactionid", "transaction", "receiptid", "receipt", "cartid"),
    ),
    ACTION: ("event", "eventtype", "type", "behavior", "behaviour", "eventname", "actiontype"),
}
"""Names that other tools and exports give a column, in small letters and digits alone."""


def mapped(frame: pl.LazyFrame, columns: Mapping[str, str]) -> pl.LazyFrame:
    """A table under our names; a column that already has one of them stays.

    Args:
        frame: Rows of one table.
        columns: Our name by the shop's name.
    """
    present = frame.collect_schema().names()
    targets = {ours: theirs for theirs, ours in columns.items() if theirs in present}
    return frame.rename({theirs: ours for ours, theirs in targets.items() if ours not in present})


def suggestion(name: str, present: Iterable[str]) -> str:
    """The end of an error about a missing column: how to map the nearest one; empty without one."""
    near = nearest(name, present)
    return (
        f"; if {near!r} is meant, map it in data.yaml: `columns: {{{near}: {name}}}`"
        if near
        else ""
    )


def nearest(name: str, present: Iterable[str]) -> str | None:
    """The column that is most likely meant by a name; None if none is alike."""
    plain = {plain_name(other): other for other in reversed(list(present))}
    for candidate in (plain_name(name), *KNOWN.get(name, ())):
        if candidate in plain:
            return plain[candidate]
    close = difflib.get_close_matches(plain_name(name), plain, n=1, cutoff=0.8)
    return plain[close[0]] if close else None


def plain_name(name: str) -> str:
    """A name in small letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
