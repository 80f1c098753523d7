"""A language model by its name on the Hugging Face hub, fetched once into the cache.

    owner/name            the commit that is newest when it is first fetched
    owner/name@revision   … that a branch or a tag names then, or a commit

A folder of that name goes before.  Only what is loaded is fetched: safetensors,
settings, tokenizer; no pickles, and no code.  Which model it is, others check.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from typing import Final

from engine import hub, store
from engine.errors import WeightsError
from engine.presets import Hub
from engine.progress import Report

FOLDER: Final = "hub"
"""In the cache folder."""
NAME: Final = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")
NEWEST: Final = "main"
WEIGHTS: Final = (".safetensors", ".safetensors.index.json")
SETTINGS: Final = frozenset(
    {
        "added_tokens.json",
        "config.json",
        "generation_config.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
    }
)


def folder_of(
    named: Path,
    cache: Path,
    report: Report,
    *,
    fetch: bool = True,
    client: hub.Client | None = None,
) -> Path:
    """Return the folder of a model; fetch it if it is none, and not in the cache.

    What is there is taken as it is: each file was checked when it arrived.

    Args:
        named: A folder, or a name on the hub.
        cache: The cache folder.
        report: Who is told how far it is.
        fetch: Whether a model that is not in the cache is fetched.
        client: What speaks to the hub.

    Raises:
        WeightsError: If it is neither there nor to be had.
    """
    found = NAME.fullmatch(named.as_posix())
    if named.exists() or not found:
        return named  # whoever loads it says what is wrong with it
    repository, revision = found[1], found[2] or NEWEST
    folder = cache / FOLDER / f"{repository}@{revision}".replace("/", "--")
    if folder.is_dir():
        return folder
    if not fetch:
        raise WeightsError(
            f"there is no folder {named}, and no model of that name in {cache / FOLDER}"
            "; it is fetched from the hub when it is loaded"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with store.alone(folder.with_name(f"{folder.name}.lock"), report):
            if not folder.is_dir():  # another process may have made it meanwhile
                wanted = Hub(repository=repository, revision=revision, licence="")
                _make(folder, wanted, report, client or hub.HuggingFace())
    except WeightsError as exc:
        raise WeightsError(f"there is no folder {named}, and {exc}") from exc
    except OSError as exc:
        raise WeightsError(f"{exc.filename or folder}: {exc.strerror or exc}") from exc
    return folder


def _make(folder: Path, named: Hub, report: Report, client: hub.Client) -> None:
    commit = Hub(repository=named.repository, revision=client.commit(named), licence="")
    names = _wanted(commit, [file.name for file in client.files(commit)])
    downloads = folder.parent.parent / store.DOWNLOADS / folder.name
    hub.fetch(commit, names, downloads, report, client=client)
    with store.replaced(folder) as building:
        for name in names:
            (downloads / name).replace(building / name)
        facts = {"repository": commit.repository, "revision": commit.revision}
        text = json.dumps(facts | {"changes": "none"}, indent=2) + "\n"
        (building / store.SOURCE).write_text(text, encoding="utf-8")
    rmtree(downloads)


def _wanted(commit: Hub, names: Sequence[str]) -> list[str]:
    """Return the files that are loaded, of all that a commit has.

    Raises:
        WeightsError: If there are no weights that we read, or no settings.
    """
    found = [
        n for n in names if n in SETTINGS or ("/" not in n and n.endswith(WEIGHTS))
    ]
    is_there = {
        ".safetensors": any(name.endswith(".safetensors") for name in found),
        "config.json": "config.json" in found,
    }
    if missing := [name for name, is_in in is_there.items() if not is_in]:
        raise WeightsError(
            f"{commit.repository} at {commit.revision[:12]} has no {missing[0]}; name "
            "a folder that you have fetched yourself (docs/weights.md)"
        )
    return found
