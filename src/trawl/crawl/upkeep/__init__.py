"""What is done to a lake without a crawl: maintain, forget, rekey, replay, and the rules that changed."""
