"""Labelled clips, under the name that they had before `engine.data` was there."""

from engine.data.manifest import Clip, ManifestError, read_manifest

__all__ = ["Clip", "ManifestError", "read_manifest"]
