"""A simulated switch that runs community SONiC: its CONFIG_DB, the shell that changes it, and what it does."""
