"""Amounts as people read them: minor units of a currency -> `USD 4.99`.

Cases:   a currency without minor units -> `JPY 499` | no currency is known -> the minor units, and that they are
Source:  ISO 4217 (2024), list one: minor units
"""

DIGITS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Currency -> digits behind the point, where they are not two."""


def spelt(minor: int | None, currency: str) -> str:
    """The amount; '' where none is known."""
    if minor is None:
        return ""
    if not currency:
        return f"{minor:,} minor units"
    digits = DIGITS.get(currency.upper(), 2)
    whole, rest = divmod(abs(minor), 10**digits)
    return f"{currency} {'-' if minor < 0 else ''}{whole:,}{f'.{rest:0{digits}}' if digits else ''}"
