"""What is taken from the kernel's package: the kernel as QEMU starts it fastest, and the modules the guest wants."""

import lzma
import re
import struct
from pathlib import Path

WANTED = (
    *("virtio_pci", "9pnet_virtio", "9p", "rdma_rxe", "ib_uverbs", "veth", "bridge"),
    *("sch_red", "sch_netem", "sch_prio", "sch_tbf", "cls_flower", "cls_matchall"),
    *("crc32_pclmul", "crc32_generic", "crc32c_generic"),
)
"""Without crc32, ``rdma link add`` fails with "No such file or directory"."""
PATTERNS = (
    "boot/vmlinuz-*",
    *(f"lib/modules/*/{name}" for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo")),
    *(
        f"lib/modules/*/kernel/{name}"
        for name in (
            *("net/*", "drivers/infiniband/*", "drivers/virtio/*", "drivers/net/*.ko"),
            *("fs/9p/*", "fs/fscache/*", "fs/netfs/*", "lib/*", "crypto/*", "arch/x86/crypto/*"),
        )
    ),
)
_SETUP_SECTORS = 0x1F1
_PAYLOAD_OFFSET = 0x248  # and its length behind it


def elf(image: bytes) -> bytes:
    """Return the kernel within a bzImage: QEMU starts it directly, where unpacking in the guest takes 5 s."""
    payload, length = struct.unpack_from("<II", image, _PAYLOAD_OFFSET)
    begin = ((image[_SETUP_SECTORS] or 4) + 1) * 512 + payload
    packed = image[begin : begin + length]
    if not packed.startswith(b"\xfd7zXZ"):
        return image  # packed in another way; it starts, only later
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(packed)


def closure(modules: Path) -> list[Path]:
    """Return the wanted modules and all that they need, those that are needed first."""
    index = {file.stem.replace("-", "_"): file for file in modules.rglob("*.ko")}
    ordered: dict[str, Path] = {}

    def visit(name: str) -> None:
        file = index.get(name.replace("-", "_"))
        if not file or file.stem in ordered:
            return  # built in, or done
        for needed in _needs(file):
            visit(needed)
        ordered[file.stem] = file

    for name in WANTED:
        visit(name)
    return list(ordered.values())


def _needs(module: Path) -> list[str]:
    said = module.read_bytes()
    needed = []
    for depends in re.findall(rb"\0depends=([^\0]+)\0", said):
        needed += depends.decode().split(",")
    for softly in re.findall(rb"\0softdep=([^\0]+)\0", said):
        before = re.search(r"pre: ((?:(?!post:)\S+ ?)*)", softly.decode())
        needed += before.group(1).split() if before else []
    return needed
