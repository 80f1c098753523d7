"""A configuration as the text of a TOML file, with what each key means.

    # Connections; the next one is refused.
    max_sessions = 32

What is written is read again as the same values, secrets excepted: they are counted.
The meanings are the texts below the fields of the dataclasses, so they stand in one
place; this file knows no key by name.
"""

import ast
import inspect
import json
import textwrap
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

WIDTH = 88  # characters of a line of comment


def config_text(config: Any) -> str:
    """Return a dataclass as TOML, its tables after its values.

    Args:
        config: Its fields are numbers, texts, paths, tuples of these, None, or other
            such dataclasses; a field whose `repr` is off holds secrets.
    """
    return "\n".join(_lines(config, ())).strip() + "\n"


def meanings(cls: type) -> dict[str, str]:
    """Return the text below each field of a class in one line; "" where none is."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    found = {field.name: "" for field in fields(cls)}
    name: str | None = None
    assert isinstance(tree.body[0], ast.ClassDef), "the source of a class"
    for node in tree.body[0].body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case ast.Expr(value=ast.Constant(value=str(text))) if name is not None:
                found[name], name = " ".join(text.split()), None
            case _:
                name = None
    return found


def _lines(config: Any, path: tuple[str, ...]) -> list[str]:
    cls, lines, tables = type(config), list[str](), list[str]()
    told, kinds = meanings(cls), get_type_hints(cls)
    for field in fields(cls):
        value = getattr(config, field.name)
        if is_dataclass(value):
            below = (*path, field.name)
            meaning = told[field.name] or inspect.getdoc(type(value)) or ""
            tables += ["", *_comment(meaning.partition("\n\n")[0])]
            tables += [f"[{'.'.join(below)}]", *_lines(value, below)]
            continue
        lines += _comment(told[field.name])
        lines += _comment(_choices(kinds[field.name]))
        if not field.repr:
            count = len(value) if isinstance(value, tuple) else int(bool(value))
            lines.append(f"# {field.name}: {count} set; not shown")
        elif value is None:
            lines.append(f"# {field.name} = (not set)")
        else:
            lines.append(f"{field.name} = {_toml(value)}")
    return lines + tables


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH - 2)]


def _choices(kind: Any) -> str:
    """Return what a value may be, where that is a choice of few."""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return "One of: " + ", ".join(map(_toml, choices)) if choices else ""


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case str() | Path():
            text = json.dumps(str(value), ensure_ascii=False)
            return text.replace("\x7f", r"\u007f")  # the one that JSON lets stand
    raise TypeError(f"{type(value).__name__} has no place in a configuration")
