"""Labelled clips: manifests, readers of published sets, and clips made of others.

Nothing here needs torch, and nothing downloads but the voices of `make speech`.
"""
