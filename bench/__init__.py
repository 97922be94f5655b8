"""What Trawl costs: `python -m bench`, or `python -m bench NAME...`. Results land in bench/README.md."""
