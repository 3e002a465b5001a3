"""A lab as a process of this machine: its state folder, whom it lives for, how it is started and stopped."""
