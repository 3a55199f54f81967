"""What every part of the settings has in common."""

import ast
import inspect
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches

from pydantic import AfterValidator, BaseModel, ConfigDict

NONE = "none"
"""What settings say for None, which TOML does not know."""


class Section(BaseModel):
    """A part of the settings. A key it does not know is an error, and nothing changes afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def attribute_docs(owner: type) -> dict[str, str]:
    """What stands below each field of a class, as pydantic reads it of its own."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            said = text.value
            if isinstance(said, ast.Constant) and isinstance(said.value, str):
                found[field.target.id] = said.value
    return found


def one_of(known: Sequence[str]) -> AfterValidator:
    """A field that takes one of these words; the error names the nearest."""

    def checked(said: str | None) -> str | None:
        if said is not None and said not in known:
            message = f"one of {', '.join(known)}; the nearest is {nearest(said, known)!r}"
            raise ValueError(message)
        return said

    return AfterValidator(checked)


def nearest(said: str, known: Sequence[str]) -> str:
    """The most similar of the known words."""
    return get_close_matches(said, known, n=1, cutoff=0.0)[0]


def not_empty(said: str | None) -> str | None:
    """A word that is there, if any is given. Raises: ValueError."""
    if said is not None and not said.strip():
        raise ValueError("it must not be empty")
    return said
