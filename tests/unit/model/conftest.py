from hypothesis import settings

settings.register_profile("laws", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("laws")
