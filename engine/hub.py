"""Files from the Hugging Face hub, at a pinned commit, checked against its hashes.

The hub names every file of a commit by a hash: SHA-256 of a large one, git's SHA-1
of a small one.  What the files mean, others know.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine import manifest
from engine.errors import WeightsError
from engine.presets import Hub
from engine.progress import Report, watch

MAX_QUOTED = 200  # characters that an error repeats of what the hub says


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """What the hub knows of a file of a commit."""

    name: str
    size_bytes: int
    git_sha1: str
    sha256: str | None
    """Of large files only."""


class Client(Protocol):
    """What we ask of the hub."""

    def commit(self, hub: Hub) -> str:
        """Return the commit that a revision, perhaps a branch or a tag, names now."""

    def files(self, hub: Hub) -> list[HubFile]:
        """Return the files of the commit."""

    def download(self, hub: Hub, names: Sequence[str], folder: Path) -> None:
        """Put some files of the commit into a folder; finish what was begun there."""


class HuggingFace:
    """The hub through `huggingface_hub`, with the user's configuration of it."""

    def commit(self, hub: Hub) -> str:
        """Return the commit that a revision, perhaps a branch or a tag, names now.

        Raises:
            WeightsError: If the hub cannot be reached, refuses or names none.
        """
        from huggingface_hub import HfApi

        with _translated(hub):
            found = HfApi().model_info(hub.repository, revision=hub.revision).sha
        if not found:
            raise WeightsError(f"the hub names no commit of {hub.repository}")
        return found

    def files(self, hub: Hub) -> list[HubFile]:
        """Return the files of the commit.

        Raises:
            WeightsError: If the hub cannot be reached or refuses.
        """
        from huggingface_hub import HfApi

        with _translated(hub):
            info = HfApi().model_info(
                hub.repository, revision=hub.revision, files_metadata=True
            )
        return [
            HubFile(
                name=file.rfilename,
                size_bytes=file.size or 0,
                git_sha1=file.blob_id or "",
                sha256=file.lfs.sha256 if file.lfs else None,
            )
            for file in info.siblings or ()
        ]

    def download(self, hub: Hub, names: Sequence[str], folder: Path) -> None:
        """Put some files of the commit into a folder; finish what was begun there.

        Raises:
            WeightsError: If the hub cannot be reached or refuses.
        """
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import (  # type: ignore[attr-defined]
            disable_progress_bars,
        )

        disable_progress_bars()
        with _translated(hub):
            snapshot_download(
                hub.repository,
                revision=hub.revision,
                allow_patterns=list(names),
                local_dir=folder,
            )


def fetch(
    hub: Hub,
    names: Sequence[str],
    folder: Path,
    report: Report,
    *,
    client: Client | None = None,
) -> None:
    """Have some files of a commit in a folder.

    Raises:
        WeightsError: If the commit lacks one, the hub refuses, or a file that
            arrived is not the one that the hub names.
    """
    client = client or HuggingFace()
    known = {file.name: file for file in client.files(hub)}
    if missing := [name for name in names if name not in known]:
        raise WeightsError(
            f"{hub.repository} at {hub.revision[:12]} has no file {missing[0]!r}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    watch(
        lambda: client.download(hub, names, folder),
        folder,
        f"fetching {hub.repository}",
        sum(known[name].size_bytes for name in names),
        report,
    )
    for name in names:
        try:
            _check(folder / name, known[name])
        except WeightsError:
            # The client takes what is there for whole, and would not fetch it again.
            (folder / name).unlink(missing_ok=True)
            raise


def _check(path: Path, file: HubFile) -> None:
    if file.sha256:
        manifest.check(path, file.size_bytes, file.sha256)
        return
    if not path.is_file():
        raise WeightsError(f"{path} is missing")
    content = path.read_bytes()
    # git's name of a file: the SHA-1 of a header and the content.
    name = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    if name.hexdigest() != file.git_sha1:
        raise WeightsError(
            f"{path} has git's SHA-1 {name.hexdigest()[:16]}…; "
            f"expected {file.git_sha1[:16]}…"
        )


@contextlib.contextmanager
def _translated(hub: Hub) -> Iterator[None]:
    """Raise errors of the hub, and of the way to it, as ours."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except (HTTPError, OSError) as exc:
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise WeightsError(
            f"the hub does not give {hub.repository}: {reason[:MAX_QUOTED]}"
        ) from exc
