"""What runs leave beside the log, and how they keep out of each other's way: plans, outcomes, manifests, leases, hosts."""
