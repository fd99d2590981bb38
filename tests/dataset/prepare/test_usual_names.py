import pytest

from dataset.prepare.usual_names import alike


@pytest.mark.parametrize(
    ("ours", "columns", "expected"),
    [
        ("item_id", ["ITEM_ID", "title"], ["ITEM_ID"]),
        ("item_id", ["asin", "title"], ["asin"]),
        ("item_id", ["sku", "itemId"], ["itemId", "sku"]),
        ("item_id", ["id", "Product-ID", "x"], ["Product-ID", "id"]),
        ("item_id", ["Artikel-Nr.", "Größe"], ["Artikel-Nr."]),
        ("item_id", ["Référence produit"], ["Référence produit"]),
        ("user_id", ["CustomerID", "Kundennummer"], ["CustomerID", "Kundennummer"]),
        ("timestamp", ["Buchungszeit"], ["Buchungszeit"]),
        ("timestamp", ["Belegdatum", "Zeitpunkt"], ["Zeitpunkt", "Belegdatum"]),
        ("timestamp", ["Date de commande", "Lieferdatum"], ["Date de commande"]),
        ("basket", ["Belegnummer", "Beleg-Nr."], ["Belegnummer", "Beleg-Nr."]),
        ("basket", ["Vorgangsnummer", "Bon"], ["Vorgangsnummer", "Bon"]),
        ("basket", ["N° commande", "Numéro de facture"], ["N° commande", "Numéro de facture"]),
        ("title", ["brand", "name"], ["name"]),
        ("title", ["titel"], ["titel"]),
        ("title", ["titlle"], ["titlle"]),
        ("timestamp", ["Time Stamp (UTC)", "When"], ["Time Stamp (UTC)", "When"]),
        ("timestamp", ["Shop Order Date"], ["Shop Order Date"]),
        ("timestamp", ["Date de commande"], ["Date de commande"]),
        ("basket", ["Order Number", "InvoiceNo"], ["InvoiceNo", "Order Number"]),
        ("action", ["Event Kind", "eventType"], ["eventType", "Event Kind"]),
        ("price", ["Unit Price", "Preis", "Price (EUR)"], ["Price (EUR)", "Unit Price", "Preis"]),
    ],
)
def test_usual_names_are_found_whatever_their_case_and_marks(ours, columns, expected):
    assert alike(ours, columns) == expected


@pytest.mark.parametrize(
    ("ours", "column"),
    [
        ("timestamp", "whenever"),
        ("timestamp", "Date of birth"),
        ("timestamp", "Expected Delivery Date"),
        ("timestamp", "Lifetime"),
        ("item_id", "Supplier Product Colour"),
        ("item_id", "Store ID"),
        ("action", "Prototype"),
        ("price", "Priceless"),
    ],
)
def test_a_part_of_a_word_and_another_meaning_are_no_guess(ours, column):
    assert alike(ours, [column]) == []
