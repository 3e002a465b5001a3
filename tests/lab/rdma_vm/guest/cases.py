"""What is sent with each operation; the tests on the machine know it, too."""

CASES = {
    "mixed sizes": (1, (64, 4096, 65_536, 1_048_579, 4097, 64)),
    "4 queue pairs": (4, (262_144, 262_144)),
    "16 queue pairs": (16, (65_536,)),
    "16 MiB and a page": (1, (16_781_312,)),
}
"""Name -> queue pairs, sizes of each one's messages [bytes].  The last is longer than two work requests may be."""

EXTREMES = {
    "1 GB": (1, (1_000_000_000,)),
    "256 queue pairs": (256, (4096, 65_536)),
}
"""Likewise."""
