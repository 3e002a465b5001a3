"""What runs within the guest."""
