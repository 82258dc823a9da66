# SPDX-License-Identifier: GPL-2.0-or-later
"""A newc archive in which nothing depends on who wrote it, where or when."""
import stat


class Archive:
    def __init__(self, epoch):
        self.epoch = epoch
        self.entries = {}  # path without a leading slash: (mode, data, (major, minor))
        self.owners = {}  # path: (uid, gid), where it is not root

    def add(self, path, mode, data=b"", device=(0, 0)):
        path = path.strip("/")
        parent = path.rpartition("/")[0]
        while parent and parent not in self.entries:
            self.entries[parent] = (stat.S_IFDIR | 0o755, b"", (0, 0))
            parent = parent.rpartition("/")[0]
        old = self.entries.get(path)
        if old and (mode, data, device) != old and not (stat.S_ISDIR(mode) and stat.S_ISDIR(old[0])):
            raise SystemExit("image: /%s is there twice, with different contents" % path)
        self.entries[path] = (mode, data, device)

    def bytes(self):
        out = []
        for number, path in enumerate(sorted(self.entries), 1):
            mode, data, device = self.entries[path]
            links = 2 if stat.S_ISDIR(mode) else 1
            out.append(self.record(number, path, mode, links, data, device, self.owners.get(path, (0, 0))))
        out.append(self.record(0, "TRAILER!!!", 0, 1, b"", (0, 0), (0, 0)))
        whole = b"".join(out)
        return whole + b"\0" * (-len(whole) % 512)

    def record(self, number, path, mode, links, data, device, owner):
        name = path.encode() + b"\0"
        head = b"070701" + b"".join(b"%08X" % n for n in (
            number, mode, owner[0], owner[1], links, self.epoch if number else 0, len(data), 0, 0, device[0], device[1], len(name), 0))
        record = head + name
        record += b"\0" * (-len(record) % 4) + data
        return record + b"\0" * (-len(record) % 4)
