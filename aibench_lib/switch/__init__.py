"""Switches: the drivers and the transaction that brings every change back."""
