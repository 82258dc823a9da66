# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of qvm-template share: repositories, their keys, and an update qube that says what it is told to."""

import atexit
import tempfile

from rpm_common import *
from services_common import *

REPO = """# ours
[templates]
name = Templates of $releasever
enabled = 1
gpgkey = file:///etc/qubes/repo-templates/keys/RPM-GPG-KEY-ours

[testing]
name = Others
enabled=0
gpgkey=file:///etc/qubes/repo-templates/keys/RPM-GPG-KEY-theirs
"""
RECORD = "qubes-template-{0}|0|{1}|1|{2}|{3}|2026-1-31 7:05|GPL|https://x/|A \x1b[31mtemplate|What is in it,\nover lines.|\n"
KEYS = None


def keys():
    global KEYS
    if KEYS is None:
        folder = tempfile.mkdtemp(prefix="skerry-keys-")
        KEYS = Keys(os.path.join(folder, "gnupg"), "ours", "theirs")
        atexit.register(shutil.rmtree, folder, True)
        atexit.register(KEYS.close)
    return KEYS


def answer(sut, service, text, status=0):
    """The update qube says this, whatever it is asked."""
    data = text.encode("latin1") if isinstance(text, str) else text
    sut.write("q/sys-net/answer-" + service, data)
    path = sut.inside("sys-net", "etc/qubes-rpc", service)
    if os.path.lexists(path):
        os.unlink(path)
    sut.service("sys-net", service, f"#!/bin/sh\ncat >{sut.inside('sys-net', 'asked')}\n"
                                    f"cat {sut.inside('sys-net', 'answer-' + service)}\nexit {status}\n")
