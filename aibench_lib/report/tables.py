"""A table as the report prints it: text in rows, under a caption."""

from dataclasses import dataclass

_LONG_ROWS = 24


@dataclass(frozen=True, kw_only=True)
class Table:
    """A captioned table of text."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    """The columns that hold numbers, set flush right."""

    is_detail: bool = False
    """Whether few readers need it, however short it is."""

    @property
    def is_folded(self) -> bool:
        """Whether the page shows the rows only to who asks for them."""
        return self.is_detail or len(self.rows) > _LONG_ROWS
