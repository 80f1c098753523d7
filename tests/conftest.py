"""Settings that all tests share."""

from hypothesis import settings

# A deadline would time the machine, not the code.
settings.register_profile("default", deadline=None, max_examples=50)
settings.load_profile("default")
