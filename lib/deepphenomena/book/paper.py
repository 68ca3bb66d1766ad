"""The paper that a chapter re-runs: authors, address, and the coverage of its figures and tables."""

import re
from collections.abc import Iterable

import pydantic

_ARXIV = re.compile(r"(?P<year>\d\d)(?P<month>\d\d)\.(?P<number>\d{4,5})")
FIRST = 704  # April 2007
FIRST_WITH_FIVE_DIGITS = 1501  # arXiv numbers have five digits from January 2015


class _Declared(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


def arxiv_number(text: str) -> str:
    """Return a valid arXiv number. Raise ValueError if it is impossible.

    Example:
        >>> arxiv_number("1806.05393")
        '1806.05393'
    """
    found = _ARXIV.fullmatch(text)
    if not found:
        raise ValueError(f"'{text}' is not an arXiv number; write for example 1806.05393")
    month, digits = int(found["month"]), len(found["number"])
    if not 1 <= month <= 12:
        raise ValueError(f"'{text}' is not an arXiv number: there is no month {found['month']}; 05 would be May")
    issued = int(found["year"] + found["month"])
    if not issued >= FIRST:
        raise ValueError(f"'{text}' is not an arXiv number: numbers of this form begin with 0704")
    wanted = 5 if issued >= FIRST_WITH_FIVE_DIGITS else 4
    if digits != wanted:
        raise ValueError(f"'{text}' is not an arXiv number: those of {issued:04d} have {wanted} digits after the point")
    return text


class Paper(_Declared):
    """The paper that a chapter re-runs. `bibtex` is its key in `references.bib`."""

    title: str
    authors: list[str] = pydantic.Field(min_length=1)
    year: int = pydantic.Field(ge=1900, le=2100)
    venue: str
    bibtex: str
    arxiv: str | None = None
    url: str | None = pydantic.Field(default=None, pattern=r"^https?://[^\s<>\"']+$")

    @pydantic.field_validator("arxiv")
    @classmethod
    def _number(cls, text: str | None) -> str | None:
        return text if text is None else arxiv_number(text)

    @property
    def link(self) -> str | None:
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url


class CoverageItem(_Declared):
    """One figure, table or theorem of the paper, with the claims that test it or the reason why none does."""

    item: str = pydantic.Field(pattern=r"^(Figure|Table|Theorem|Section|Proposition|Algorithm|Equation)s? \S")
    shows: str
    claims: list[str] = []
    not_attempted: str | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_them(self):
        if bool(self.claims) == bool(self.not_attempted):
            raise ValueError(f"coverage of {self.item}: give the claims that test it or not_attempted with the reason")
        return self


class Coverage(_Declared):
    """Every figure, table and theorem in the main text of the paper, and how it is tested.

    Attributes:
        source: the source of the list; it says if the text of the paper could not be read.
        complete: whether the list was checked for completeness.
        items: one for each figure, table and theorem.
    """

    source: str
    complete: bool
    items: list[CoverageItem] = pydantic.Field(min_length=1)

    @property
    def share(self) -> tuple[int, int]:
        """(items that at least one claim tests, all items)."""
        return sum(bool(item.claims) for item in self.items), len(self.items)

    def check(self, claims: Iterable[str]) -> None:
        """Raise ValueError if an item names an unknown claim, or if a claim of the card is under no item."""
        known, names = list(claims), [item.item for item in self.items]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"coverage lists {name} twice; list it once with all of its claims")
        listed = {claim for item in self.items for claim in item.claims}
        for claim in sorted(listed - set(known)):
            raise ValueError(f"coverage names claim '{claim}', which the card lacks; claims are {', '.join(known)}")
        for claim in known:
            if claim not in listed:
                raise ValueError(f"claim '{claim}' appears under no item of coverage; list it where the paper makes it")
