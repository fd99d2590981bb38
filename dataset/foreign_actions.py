"""Usual names of actions in German and French, under every spelling of their accents."""

import unicodedata
from collections.abc import Iterator, Mapping

_NAMES: Mapping[float, str] = {
    1.0: """ansicht ansichten aufruf aufrufe seitenaufruf seitenaufrufe produktansicht
        produktaufruf artikelaufruf klick angesehen
        vue consultation consulté clic visite""",
    3.0: """warenkorb einkaufswagen in_den_warenkorb merkliste merkzettel wunschliste favorit
        favoriten
        panier ajout_panier ajout_au_panier favori liste_de_souhaits""",
    8.0: """kauf käufe gekauft verkauf verkäufe verkauft bestellung bestellungen bestellt
        achat acheté vente vendu commande commandé""",
    -8.0: """rückgabe rückgaben retoure retouren retourniert rücksendung rücksendungen storno
        stornierung stornierungen storniert gutschrift gutschriften erstattung erstattungen
        erstattet rückerstattung rückerstattungen
        remboursement remboursé retour retourné annulation annulé avoir""",
}
"""Names by weight"""
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def _spellings(name: str) -> Iterator[str]:
    """A name with its accents, with umlauts as two letters, and without any accent."""
    yield name
    yield name.translate(_WRITTEN_OUT)
    letters = unicodedata.normalize("NFKD", name)
    yield "".join(letter for letter in letters if not unicodedata.combining(letter))


FOREIGN: Mapping[str, float] = {
    spelling: weight
    for weight, names in _NAMES.items()
    for name in names.split()
    for spelling in _spellings(name)
}
"""Weights of German and French names, folded but for their plurals"""
