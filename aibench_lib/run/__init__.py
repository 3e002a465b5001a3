"""A run from plan to values: it is the layer the playbooks talk to."""
