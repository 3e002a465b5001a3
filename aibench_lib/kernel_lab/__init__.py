"""The kernel lab: switches and hosts as network namespaces of this machine, with real packets between them."""
