"""Measuring what a model hears: manifests, scores, reports."""
