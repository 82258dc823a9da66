# SPDX-License-Identifier: GPL-2.0-or-later
"""RPM packages made byte by byte, so that any of them can be wrong, and keys to sign them with."""

import hashlib
import os
import shutil
import struct
import subprocess

STRING, BIN, INT32, STRINGS = 6, 7, 4, 8
NEEDS_TOOLS = None if shutil.which("gpg") and os.path.exists("/usr/bin/sqv") else "gnupg or sqv is not installed"


def text(value):
    return STRING, 1, value.encode() + b"\0"


def header(region, entries):
    """[(tag, (type, count, bytes))] as a header with its prefix, laid out as RPM does it."""
    data, index = b"", b""
    for tag, (kind, count, value) in entries:
        while kind == INT32 and len(data) % 4:
            data += b"\0"
        index += struct.pack(">IIII", tag, kind, len(data), count)
        data += value
    n = len(entries) + 1
    first = struct.pack(">IIII", region, BIN, len(data), 16)
    data += struct.pack(">IIiI", region, BIN, -16 * n, 16)
    return b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", n, len(data)) + first + index + data


def lead(name=b"a-1-1", kind=0):
    return b"\xed\xab\xee\xdb\x03\0" + struct.pack(">HH66sHH16s", kind, 1, name, 1, 5, b"")


def main_header(name="skerry-dom0", payload=b"", version="1", release="1", arch="noarch", digest=None, more=()):
    digest = digest or hashlib.sha256(payload).hexdigest()
    entries = [(1000, text(name)), (1001, text(version)), (1002, text(release)), (1022, text(arch)),
               (5092, (STRINGS, 1, digest.encode() + b"\0")), (5093, (INT32, 1, struct.pack(">I", 8)))]
    return header(63, sorted(entries + list(more)))


def assemble(signature, main, payload, tag=268, before=None, more=()):
    entries = ([] if signature is None else [(tag, (BIN, len(signature), signature))])
    entries += [(273, text(hashlib.sha256(main).hexdigest())), (1000, (INT32, 1, b"\0\0\0\7"))]
    sig = header(62, sorted(entries + list(more)))
    return (before or lead()) + sig + b"\0" * (-len(sig) % 8) + main + payload


class Keys:
    """A keyring of its own, with one RSA key for each name."""

    def __init__(self, folder, *names):
        self.folder = folder
        os.makedirs(folder, mode=0o700)
        for name in names:
            self.gpg("--passphrase", "", "--quick-generate-key", name, "rsa2048", "sign", "never")

    def gpg(self, *words, stdin=b""):
        return subprocess.run(["gpg", "--homedir", self.folder, "--batch", "--quiet", "--no-tty", *words], input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=120).stdout

    def export(self, name):
        return self.gpg("--armor", "--export", name)

    def sign(self, name, data, *more):
        return self.gpg("--local-user", name, "--digest-algo", "sha256", *more, "--detach-sign", stdin=data)

    def package(self, signer, payload=b"the payload", **words):
        main = main_header(payload=payload, **words)
        return assemble(self.sign(signer, main), main, payload)

    def close(self):
        subprocess.run(["gpgconf", "--homedir", self.folder, "--kill", "all"], check=False, timeout=60)


# Packages of templates: a cpio archive with pieces of a tar archive of an image.

def cpio_entry(name, data=b"", mode=0o100644, magic=b"070701", size=None):
    name = name.encode("latin1") + b"\0"
    size = len(data) if size is None else size
    head = magic + b"".join(b"%08x" % n for n in (1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name), 0)) + name
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def cpio(entries):
    """entries: (name, data) or bytes that are one already"""
    return b"".join(e if isinstance(e, bytes) else cpio_entry(*e) for e in entries) + cpio_entry("TRAILER!!!", mode=0)


def tar_block(name, size, kind=b"0", regions=None, real=0, more=0):
    """A header as GNU tar has it; regions: those of a sparse file's header."""
    block = bytearray(512)
    block[0:len(name)] = name.encode()
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136] = b"%011o\0" % size if size < 8 ** 11 else b"\x80" + size.to_bytes(11, "big")
    block[136:148], block[156:157], block[257:265] = b"00000000000\0", kind, b"ustar  \0"
    for i, (offset, length) in enumerate(regions or []):
        block[386 + 24 * i:386 + 24 * i + 24] = tar_region(offset, length)
    if regions is not None:
        block[482] = more
        block[483:495] = tar_number(real)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar_number(n):
    return b"%011o\0" % n if n < 8 ** 11 else b"\x80" + n.to_bytes(11, "big")


def tar_region(offset, length):
    return tar_number(offset) + tar_number(length)


def tar_file(data, name="root.img"):
    return tar_block(name, len(data)) + data + b"\0" * (-len(data) % 512) + b"\0" * 1024


def template_entries(name, image_tar, conf="", menus=(), part=1000):
    """The files of a template's package, in the order in which they stand there."""
    folder = "./var/lib/qubes/vm-templates/" + name
    entries = [(folder, b"", 0o40775)]
    pieces = [image_tar[i:i + part] for i in range(0, len(image_tar), part)]
    entries += [("%s/root.img.part.%02d" % (folder, i), piece) for i, piece in enumerate(pieces)]
    if conf:
        entries.append((folder + "/template.conf", conf.encode()))
    entries += [("%s/%s" % (folder, file), text.encode()) for file, text in menus]
    return entries
