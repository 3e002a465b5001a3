"""The agent of one host: what runs there.

It needs grpc, pyarrow and numpy, and no other part of the project than
``aibench_lib.worker``, ``model``, ``units`` and ``errors``.
"""
