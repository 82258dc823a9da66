# SPDX-License-Identifier: GPL-2.0-or-later
"""What the image builder must know of 64-bit little-endian ELF files: libraries needed, kernel modules' needs."""
import lzma
import struct
import subprocess


def sections(data):
    if data[:6] != b"\x7fELF\x02\x01":
        return {}
    offset, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    heads = [struct.unpack_from("<IIQQQQ", data, offset + i * size) for i in range(count)]
    table = heads[names][4] if count else 0
    found = {}
    for head in heads:
        end = data.index(b"\0", table + head[0])
        # A section without bytes in the file (type 8, .bss) is empty here.
        found[data[table + head[0]:end].decode()] = b"" if head[1] == 8 else data[head[4]:head[4] + head[5]]
    return found


def needed(data):
    """The sonames of a dynamic program or library, and its interpreter ("": none)."""
    found = sections(data)
    dynamic, strings = found.get(".dynamic", b""), found.get(".dynstr", b"")
    names = []
    for i in range(0, len(dynamic) - 15, 16):
        tag, value = struct.unpack_from("<QQ", dynamic, i)
        if tag == 1:
            names.append(strings[value:strings.index(b"\0", value)].decode())
    return names, found.get(".interp", b"").rstrip(b"\0").decode()


def module_bytes(path):
    """A kernel module, unpacked: the kernel checks its signature over these bytes."""
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def module_needs(data):
    info = sections(data).get(".modinfo", b"").split(b"\0")
    for entry in info:
        if entry.startswith(b"depends="):
            return [n for n in entry[8:].decode().split(",") if n]
    return []
