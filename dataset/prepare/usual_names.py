"""Names that exports give a column, and the columns of a table that may be one of ours by name."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from dataset.prepare.schema import ACTION, BASKET, ITEM, ORDER, TIMESTAMP, TITLE, USER

PRICE, BRAND, CATEGORY, DESCRIPTION = "price", "brand", "category", "description"
_NAMES = {
    ITEM: """sku asin parentasin itemnumber itemno itemcode itemsku productid productnumber
        productno productcode productsku articleid articlenumber articleno articlecode variantid
        stockcode goodsid movieid bookid iid ean gtin upc barcode partnumber
        artikelnummer artikelnr artnr artikelid produktnummer produktnr produktid
        referenceproduit refproduit codeproduit idproduit referencearticle codearticle idarticle
        reference item product article artikel produkt produit id""",
    USER: """customerid customernumber customerno custid uid user visitorid clientid accountid
        memberid shopperid buyerid personid reviewerid customer shopper buyer visitor member
        customeremail useremail email account
        kundennummer kundennr kundenid kunde idclient numeroclient codeclient client sessionid""",
    TITLE: """productname producttitle itemname itemtitle articlename name label
        produktname artikelname artikelbezeichnung produktbezeichnung bezeichnung titel
        nomproduit nomarticle libelle designation titre nom
        productdescription itemdescription description beschreibung product item article""",
    TIMESTAMP: """time ts when datetime date eventtime eventdate eventtimestamp occurredat
        happenedat createdat createdon created unixtime unixreviewtime orderdate ordertime
        orderedat orderplaced placedat purchasedate purchasetime purchasedat invoicedate
        transactiondate transactiontime saledate salesdate soldat
        zeitstempel zeitpunkt zeit uhrzeit datum buchungszeit buchungsdatum bestellzeit bestelldatum
        kaufzeit kaufdatum verkaufszeit verkaufsdatum belegzeit belegdatum auftragsdatum
        rechnungsdatum transaktionszeit transaktionsdatum erstelltam erstellt datumzeit
        horodatage dateheure datecommande heurecommande dateachat heureachat datevente datefacture
        dateticket datetransaction datecreation quand""",
    BASKET: """basketid invoice invoiceno invoiceid invoicenumber orderid orderno ordernumber
        orderref orderreference transactionid transactionnumber transaction receiptid receiptno
        receiptnumber receipt cartid purchaseid salesorder
        bestellnummer bestellnr bestellid bestellung auftragsnummer auftragsnr auftragsid auftrag
        rechnungsnummer rechnungsnr rechnung belegnummer belegnr belegid beleg vorgangsnummer
        vorgangsnr vorgangsid transaktionsnummer transaktionsnr transaktionsid kassenbon bonnummer
        bonnr bonid bon warenkorbid warenkorb numerocommande nocommande ncommande idcommande
        commande referencecommande numerofacture nofacture nfacture idfacture facture numeroticket
        idticket ticketcaisse numerotransaction idtransaction idpanier panier order""",
    ACTION: """event eventtype eventkind eventname actiontype actionname actionkind behavior
        behaviour activity interaction interactiontype type kind verb
        aktion ereignis ereignistyp ereignisart vorgang evenement typeevenement""",
    ORDER: "sequence seq sequencenumber eventorder position reihenfolge ordre",
    PRICE: """unitprice saleprice salesprice retailprice listprice itemprice productprice
        preis einzelpreis verkaufspreis stuckpreis prix prixunitaire prixvente""",
    BRAND: "brandname manufacturer maker marke hersteller marque fabricant",
    CATEGORY: """categoryname productcategory producttype productgroup department categories
        kategorie produktkategorie warengruppe categorie rayon""",
    DESCRIPTION: """productdescription itemdescription longdescription details
        beschreibung produktbeschreibung artikelbeschreibung descriptif""",
}
USUAL: Mapping[str, tuple[str, ...]] = {ours: tuple(_NAMES[ours].split()) for ours in _NAMES}
"""Usual names of a column, folded, most telling first."""
_LAST = {"date", "datetime", "timestamp", "sku", "asin", "ean", "gtin", "price", "preis"}
"""Single words that tell a column as the last of several: `Net Price`"""
_UNITS = {"utc", "gmt", "cet", "local", "eur", "usd", "gbp", "chf"}
_PARTICLES = {"de", "du", "des", "la", "le", "d", "l"}
_OTHER_DATES = {
    *("birth", "expiry", "expiration", "due", "delivery", "shipping", "shipped", "release"),
    *("updated", "update", "modified", "last"),
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
CLOSE = 0.8
"""Least similarity of a mistyped name"""


def alike(ours: str, columns: Iterable[str]) -> list[str]:
    """Columns that may be one of ours by their names, the likeliest first.

    Names are compared word by word: `Order Number`, `orderNumber` and `ORDER_NUMBER` are one name,
    and `whenever` is not `when`.

    Args:
        ours: Our name.
        columns: Names in the file.
    """
    known = [folded_name(ours), *USUAL.get(ours, ())]
    ranks = {name: _rank(words_of(name), known) for name in columns}
    found = {name: rank for name, rank in ranks.items() if rank is not None}
    return sorted(found, key=lambda name: found[name])


def folded_name(name: str) -> str:
    """A name without case, accents, blanks, underscores and hyphens."""
    return "".join(words_of(name))


def words_of(name: str) -> list[str]:
    """Words of a name in small letters, without accents: `orderNumber` has two."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return [word.lower() for word in _WORD.findall(plain)]


def _rank(words: Sequence[str], known: Sequence[str]) -> tuple[int, int] | None:
    """How well a name fits, smaller is better: the whole of it, its last words, a mistyped name."""
    while len(words) > 1 and words[-1] in _UNITS:
        words = words[:-1]
    whole = ("".join(words), "".join(word for word in words if word not in _PARTICLES))
    for name in whole:
        if name in known:
            return 0, known.index(name)
    if not _OTHER_DATES & set(words):
        for start in range(1, len(words)):
            last = "".join(words[start:])
            if last in known and (len(words) - start > 1 or last in _LAST):
                return 1, known.index(last)
    return (2, 0) if difflib.get_close_matches(whole[0], known[:1], cutoff=CLOSE) else None
