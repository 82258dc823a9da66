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
