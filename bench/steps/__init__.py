"""What runs in processes of its own, with all libraries: nothing else in `bench` imports it."""
