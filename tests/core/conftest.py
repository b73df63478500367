"""Property tests of the rules: the same examples in every run, and no limit on a slow machine's time."""

from hypothesis import settings

settings.register_profile("core", derandomize=True, deadline=None)
settings.load_profile("core")
