"""Clips as samples, under the name that they had before `engine.data` was there."""

from engine.data.audio import read_clip

__all__ = ["read_clip"]
