"""The Sphinx extension of the API reference: readable signatures and valid HTML."""

import enum
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

# Sphinx writes the parameters of a long signature as a definition list without terms, which is not valid HTML.
_PARAMETERS = re.compile(r"<dl>\n((?:<dd>.*</dd>\n)+)</dl>")
# What Sphinx makes of an annotation with the library's own Array, which is a JAX or a NumPy array.
_EITHER_SHAPED = re.compile(r"(~?jaxtyping\.\w+)\[Array, ('[^']*')\] \| \1\[ndarray, \2\]")
_EITHER_BARE = re.compile(r"(~?)jax\.Array \| \1numpy\.ndarray")


def skip_generated(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Skip the fields of a named tuple, which its signature lists already, and pydantic's configuration."""
    if name == "model_config" or str(getattr(member, "__doc__", "")).startswith("Alias for field number"):
        return True
    return None


def shorten_signature(
    app: Sphinx, what: str, name: str, member: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Show a JAX or NumPy array as `Array`, and an enumeration by its value alone.

    Python's own signature of an enumeration is that of the functional form.
    """
    if what == "class" and isinstance(member, enum.EnumMeta):
        return "(value)", returned
    return signature and _one_array(signature), returned and _one_array(returned)


def _one_array(text: str) -> str:
    return _EITHER_BARE.sub(r"\1jax.Array", _EITHER_SHAPED.sub(r"\1[Array, \2]", text))


def fix_parameter_lists(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Write the parameters of a long signature as plain blocks, which screen readers accept inside a term."""
    if "body" in context:
        context["body"] = _PARAMETERS.sub(_as_blocks, context["body"])


def _as_blocks(found: re.Match[str]) -> str:
    inside = found[1].replace("<dd>", "<div>").replace("</dd>", "</div>")
    return f'<div class="dp-parameters">\n{inside}</div>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension. Sphinx calls this function."""
    app.connect("autodoc-skip-member", skip_generated)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("html-page-context", fix_parameter_lists)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
