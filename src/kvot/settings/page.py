"""The page of settings: docs/reference/settings.md."""

import ast
import inspect

from kvot.settings.settings import FIELDS, Settings, variable


def reference_page() -> str:
    """`docs/reference/settings.md`, from the fields and their docstrings. `python -m kvot.settings` prints it."""
    lines = [
        "# Settings",
        "",
        "Generated from `kvot.settings`. From lowest to highest: default, TOML file (`--config` or `KVOT_CONFIG`;",
        "names without `KVOT_`, in lower case), environment, command line. An unknown name stops the start,",
        "except those of Kubernetes' service links (`KVOT_SERVICE_HOST`, `KVOT_PORT=tcp://…`), which say nothing here.",
        "",
        "Names known from elsewhere (`FORWARDED_ALLOW_IPS`, `LOG_LEVEL`, `KVOT_SECRET_KEY`, …) count only where no",
        "source says the setting by its name, the TOML file included. `PORT` alone beats the file.",
        "",
        "`NO_COLOR`, if it is not empty, keeps colours out of what commands print and of the log.",
        "",
        "| name | default | takes | meaning |",
        "|---|---|---|---|",
    ]
    for name, words in _docstrings().items():
        default, accepted = FIELDS[name].default, FIELDS[name].metadata["accepted"]
        shown = "–" if default in (None, ()) else f"`{default}`"
        lines.append(f"| `{variable(name)}` | {shown} | {accepted.words} | {words} |")
    return "\n".join(lines) + "\n"


def _docstrings() -> dict[str, str]:
    """Words by field. They stand under the fields, where only the source can be asked for them."""
    (tree,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(tree, ast.ClassDef)
    words = {}
    for above, below in zip(tree.body, tree.body[1:], strict=False):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                words[name] = " ".join(text.split())
    return words
