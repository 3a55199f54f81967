"""What every part of the settings has in common."""

import ast
import inspect
import textwrap

from pydantic import BaseModel, ConfigDict


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
